"""Forward passes whose sums are taken in another order: right ones, as edits of the source.

Addition rounds, and so each order of the terms of a sum gives a result of its own. NumPy leaves the
order to a library of matrix products, which chooses it by processor and number of threads. Here the
terms are added one by one, from the first to the last or from the last to the first, as a port with
plain loops does it: of the usual orders these are the least exact.
"""

from __future__ import annotations

from npbert.golden.mistakes.planting import Edit


def one_by_one(order: str) -> tuple[Edit, ...]:
    """Return the edits with which all sums of the layers are taken term by term.

    order: the order of the terms, as the slice of an axis: ":" or "::-1".
    """
    over_last = f"[..., {order}].cumsum(axis=-1)[..., -1:]"
    over_last_but_one = f"[..., {order}, :].cumsum(axis=-2)[..., -1, :]"
    return (
        Edit("ops.linear", "x @ p.weight.T", f"(x[..., None] * p.weight.T){over_last_but_one}"),
        Edit("ops.layer_norm", "x.mean(axis=-1, keepdims=True)", f"x{over_last} / x.shape[-1]"),
        Edit(
            "ops.layer_norm",
            "(centred * centred).mean(axis=-1, keepdims=True)",
            f"(centred * centred){over_last} / x.shape[-1]",
        ),
        Edit("ops.softmax", "exponentials.sum(axis=-1, keepdims=True)", f"exponentials{over_last}"),
        Edit(
            "ops.attend",
            "query @ key.swapaxes(-1, -2)",
            f"(query[..., None, :] * key[..., None, :, :]){over_last}[..., 0]",
        ),
        Edit(
            "ops.attend",
            "(probs @ value)",
            f"(probs[..., None] * value[..., None, :, :]){over_last_but_one}",
        ),
        Edit(
            "kernels.dynamic_convolution",
            'np.einsum("bthsk,bthk->bths", windows, filters)',
            f"(windows * filters[:, :, :, None]){over_last}[..., 0]",
        ),
        Edit(
            "convbert.span_summary",
            "span @ p.pointwise.weight[:, :, 0].T",
            f"(span[..., None] * p.pointwise.weight[:, :, 0].T){over_last_but_one}",
        ),
        Edit(
            "kernels.grouped_linear",
            "groups @ p.weight",
            f"(groups[..., 0, :, None] * p.weight){over_last_but_one}[..., None, :]",
        ),
        Edit(
            "kernels.grouped_convolution",
            "np.matmul(rows.swapaxes(0, 1), filters.swapaxes(1, 2), out=out.swapaxes(0, 1))",
            f"out[...] = (rows[:, :, None] * filters){over_last}[..., 0]",
        ),
    )


ORDERS = (one_by_one(":"), one_by_one("::-1"))
