"""Vectors of 16 float32 numbers for compiled loops: what the processor computes in one instruction.

    total = splat(0.0)
    for i in range(n):
        total = total + load(address + 64 * i)
    store(address, total)

A compiler turns plain loops into such instructions where it can prove that no two arrays overlap
and that the order of a sum does not matter; here the loop says it itself. Where the processor's
vectors are shorter, LLVM splits each into several. Memory is given by addresses, in bytes.
"""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16  # numbers in a vector
PANEL = 2 * LANES  # tokens of a panel
VECTOR_BYTES = 4 * LANES

FLOAT, INTEGER, SHORT = ir.FloatType(), ir.IntType(64), ir.IntType(32)
FLOATS, SHORTS = ir.VectorType(FLOAT, LANES), ir.VectorType(SHORT, LANES)


class VectorType(types.Type):
    """The type of a vector in compiled code."""

    def __init__(self) -> None:
        super().__init__(name="Vector")


VECTOR = VectorType()


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any):
        super().__init__(manager, kind, FLOATS)


def instruction(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a function for compiled code of one that writes LLVM instructions with a builder."""

    def mark(write: Callable[..., Any]) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            written = write(builder, *values)
            return context.get_dummy_value() if written is None else written

        def typed(*given: Any) -> Any:
            return signature(result, *arguments), code

        names = write.__code__.co_varnames[1 : write.__code__.co_argcount]
        # An intrinsic is typed by the names of its arguments, so the function needs them.
        scope: dict[str, Any] = {"typed": typed}
        listed = ", ".join(names)
        exec(f"def {write.__name__}(context, {listed}): return typed({listed})", scope)
        function = scope[write.__name__]
        function.__doc__ = write.__doc__
        return intrinsic(function)

    return mark


def constant(value: float) -> Any:
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


def spread(builder: Any, number: Any) -> Any:
    """Write the instructions that put one number in all lanes."""
    undefined = ir.Constant(FLOATS, ir.Undefined)
    first = builder.insert_element(undefined, number, SHORT(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(SHORTS, [0] * LANES))


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Write the instruction a * b + c, rounded once."""
    kind = ir.FunctionType(FLOATS, [FLOATS] * 3)
    name = f"llvm.fma.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def vector_at(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, FLOATS.as_pointer())


# ---- memory --------------------------------------------------------------------------------


@instruction(VECTOR, types.int64)
def load(builder, address):
    """Return the 16 numbers at an address."""
    return builder.load(vector_at(builder, address), align=4)


@instruction(types.void, types.int64, VECTOR)
def store(builder, address, vector):
    """Write 16 numbers to an address."""
    builder.store(vector, vector_at(builder, address), align=4)


@instruction(types.float32, types.int64)
def number_at(builder, address):
    """Return the number at an address."""
    return builder.load(builder.inttoptr(address, FLOAT.as_pointer()), align=4)


@instruction(types.void, types.int64, types.float32)
def put_number(builder, address, number):
    """Write a number to an address."""
    builder.store(number, builder.inttoptr(address, FLOAT.as_pointer()), align=4)


@instruction(types.int64, types.int64, types.int64)
def integer(builder, address, n):
    """Return the n-th of the whole numbers that begin at an address."""
    place = builder.add(address, builder.mul(n, INTEGER(8)))
    return builder.load(builder.inttoptr(place, INTEGER.as_pointer()), align=8)


# ---- arithmetic ----------------------------------------------------------------------------


@instruction(VECTOR, types.float32)
def splat(builder, number):
    """Return a vector with one number in all lanes."""
    return spread(builder, number)


@instruction(types.float32, VECTOR)
def first_of(builder, a):
    """Return the number in the first lane."""
    return builder.extract_element(a, SHORT(0))


@instruction(VECTOR, VECTOR, VECTOR, VECTOR)
def fma(builder, a, b, c):
    """Return a * b + c, rounded once."""
    return multiply_add(builder, a, b, c)


@instruction(VECTOR, VECTOR, VECTOR)
def larger(builder, a, b):
    """Return the larger of two numbers in each lane, and b where either is NaN."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@instruction(VECTOR, VECTOR, VECTOR, VECTOR, VECTOR)
def where_less(builder, a, b, yes, no):
    """Return `yes` in the lanes where a < b, and `no` elsewhere."""
    return builder.select(builder.fcmp_ordered("<", a, b), yes, no)


@instruction(VECTOR, VECTOR)
def absolute(builder, a):
    """Return the absolute value of each number."""
    bits = builder.and_(builder.bitcast(a, SHORTS), ir.Constant(SHORTS, [0x7FFFFFFF] * LANES))
    return builder.bitcast(bits, FLOATS)


@instruction(VECTOR, VECTOR)
def root(builder, a):
    """Return the square root of each number."""
    kind = ir.FunctionType(FLOATS, [FLOATS])
    name = f"llvm.sqrt.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a])


@instruction(VECTOR, VECTOR)
def shifted_bits(builder, a):
    """Return 2 to the power n, where the last bits of `a` hold n + 127."""
    bits = builder.shl(builder.bitcast(a, SHORTS), ir.Constant(SHORTS, [23] * LANES))
    return builder.bitcast(bits, FLOATS)


def _operator(which: Any, write: str) -> None:
    """Let compiled code write a + b for vectors, and the like."""

    class Template(AbstractTemplate):
        def generic(self, given: Any, named: Any) -> Any:
            if given == (VECTOR, VECTOR):
                return signature(VECTOR, VECTOR, VECTOR)
            return None

    infer_global(which)(Template)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return getattr(builder, write)(*values)

    lower_builtin(which, VectorType, VectorType)(code)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")


# ---- products ------------------------------------------------------------------------------

# Sums of a tile that stay in registers: vectors that the processor has, less some for operands.
_features = binding.get_host_cpu_features()
ROOM = 24 if _features.get("avx512f") else 6


AHEAD = 256  # bytes of a row of a matrix that are asked for before they are multiplied


def tile(rows: int, vectors: int) -> Any:
    """Return a function for compiled code that multiplies `rows` rows of a matrix by a panel.

    Of the matrix, entry (r, i) stands at weight + r * row_step + i * column_step. The panel has
    PANEL numbers for every i, of which 16 * vectors are used; so has the result for every r.
    following: how many bytes after this tile the one begins that the same thread multiplies next.

    Rows begin and end too soon for a processor to foresee what is read, and with few tokens waiting
    for it is most of the time. So the loop asks for the matrix AHEAD of itself, past the end of its
    rows for the beginning of those that follow.
    """

    @instruction(types.void, *[types.int64] * 7)
    def multiply_tile(builder, weight, row_step, column_step, panel, terms, out, following):
        before = builder.block
        loop, ask, compute, done = map(builder.append_basic_block, ["terms", "ask", "sum", "done"])
        row = [builder.add(weight, builder.mul(row_step, INTEGER(r))) for r in range(rows)]
        end = builder.add(panel, builder.mul(terms, INTEGER(4 * PANEL)))
        row_end = builder.mul(terms, column_step)
        builder.branch(loop)

        builder.position_at_end(loop)
        column, entries = builder.phi(INTEGER), builder.phi(INTEGER)
        sums = [[builder.phi(FLOATS) for _ in range(vectors)] for _ in range(rows)]
        numbers = builder.and_(builder.sub(entries, panel), INTEGER(4 * PANEL * LANES - 1))
        is_new_line = builder.icmp_signed("==", numbers, INTEGER(0))  # of the processor's cache
        builder.cbranch(is_new_line, ask, compute)

        builder.position_at_end(ask)
        place = builder.add(column, INTEGER(AHEAD))
        beyond = builder.add(builder.sub(place, row_end), following)
        place = builder.select(builder.icmp_signed("<", place, row_end), place, beyond)
        for r in range(rows):
            prefetch(builder, builder.add(row[r], place))
        builder.branch(compute)

        builder.position_at_end(compute)
        values = [
            builder.load(
                vector_at(builder, builder.add(entries, INTEGER(VECTOR_BYTES * v))), align=4
            )
            for v in range(vectors)
        ]
        new = []
        for r in range(rows):
            pointer = builder.inttoptr(builder.add(row[r], column), FLOAT.as_pointer())
            factor = spread(builder, builder.load(pointer, align=4))
            new.append(
                [multiply_add(builder, factor, values[v], sums[r][v]) for v in range(vectors)]
            )
        next_column = builder.add(column, column_step)
        next_entries = builder.add(entries, INTEGER(4 * PANEL))
        column.add_incoming(INTEGER(0), before)
        column.add_incoming(next_column, compute)
        entries.add_incoming(panel, before)
        entries.add_incoming(next_entries, compute)
        for r in range(rows):
            for v in range(vectors):
                sums[r][v].add_incoming(constant(0), before)
                sums[r][v].add_incoming(new[r][v], compute)
        builder.cbranch(builder.icmp_signed("<", next_entries, end), loop, done)

        builder.position_at_end(done)
        for r in range(rows):
            for v in range(vectors):
                place = builder.add(out, INTEGER(4 * PANEL * r + VECTOR_BYTES * v))
                builder.store(new[r][v], vector_at(builder, place), align=4)

    return multiply_tile


def prefetch(builder: Any, address: Any) -> None:
    """Write the instruction that asks for memory before it is read, wherever it is."""
    pointer = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, SHORT, SHORT, SHORT])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    for_reading, into_nearest_cache, data = SHORT(0), SHORT(3), SHORT(1)
    arguments = [builder.inttoptr(address, pointer), for_reading, into_nearest_cache, data]
    builder.call(function, arguments)


# ---- threads -------------------------------------------------------------------------------


@instruction(types.int64, types.int64)
def count_up(builder, address):
    """Add 1 to a counter that threads share; return what it was."""
    pointer = builder.inttoptr(address, INTEGER.as_pointer())
    return builder.atomic_rmw("add", pointer, INTEGER(1), "seq_cst")


@instruction(types.int64, types.int64)
def counted(builder, address):
    """Return a counter that threads share, and with it see all that they wrote before."""
    pointer = builder.inttoptr(address, INTEGER.as_pointer())
    return builder.load_atomic(pointer, "seq_cst", 8)


@instruction(types.void)
def breathe(builder):
    """Pass a moment, and let another thread on the same core go on: for loops that wait."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        kind = ir.FunctionType(ir.VoidType(), [])
        name = "llvm.x86.sse2.pause"
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])


if os.name == "posix":
    sleep_microseconds = types.ExternalFunction("usleep", types.int32(types.uint32))
else:
    sleep_microseconds = types.ExternalFunction("Sleep", types.void(types.uint32))
