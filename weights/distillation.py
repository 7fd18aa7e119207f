"""What a student takes over from its teacher: its start, and the knowledge transfer of each step.

The teacher is convbert-tiny. All families have hidden size 256 and one vocabulary, so that hidden
states and predictions can be compared as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from families import FAMILIES, hidden_states, vocabulary_bias, vocabulary_logits
from neighbours import fit_near_heads
from transformers import BertForPreTraining, ConvBertForMaskedLM, MobileBertForPreTraining


def load_teacher(directory, device: str = "cpu", dtype=torch.float32) -> ConvBertForMaskedLM:
    """Return the teacher; it is only asked, never taught."""
    teacher = ConvBertForMaskedLM.from_pretrained(
        directory, dtype=dtype, attn_implementation="eager"
    )
    return teacher.to(device).eval().requires_grad_(False)


# ---- the start -----------------------------------------------------------------------------


def start_from_teacher(name: str, model, teacher: ConvBertForMaskedLM, batches: list[dict]) -> None:
    """Let what fits start from the teacher's (in single precision); `batches` are some text."""
    with torch.no_grad():
        vocabulary_bias(model).copy_(vocabulary_bias(teacher))
        entering = teacher_entering_states(teacher)
        if isinstance(model, MobileBertForPreTraining):
            contents = start_thin_embeddings(model, teacher, entering)
        else:
            contents = start_wide_embeddings(model, teacher, entering)
        if isinstance(model, BertForPreTraining):
            start_bert_layers(model, teacher, batches[0])
    fit_near_heads(model, batches[:4], contents, FAMILIES[name].near)
    fit_head(model, teacher, batches)


def teacher_entering_states(teacher):
    """Return what the teacher lets enter its first layer for each piece by itself [V, D]."""
    embeddings = teacher.convbert.embeddings
    pieces = embeddings.word_embeddings.weight + embeddings.token_type_embeddings.weight[0]
    return teacher.convbert.embeddings_project(embeddings.LayerNorm(pieces))


def start_thin_embeddings(model, teacher, entering) -> torch.Tensor:
    """MobileBERT: the teacher's table as it is, the projection in the middle of the trigram.

    The projection is fitted, since MobileBERT has no norm before it. The head starts from the
    teacher's in the half that is tied to the table, from nothing in the other half. Returns what
    enters the first layer for each piece, without positions [V, D].
    """
    embeddings, head = model.mobilebert.embeddings, model.cls.predictions
    table = teacher.get_input_embeddings().weight
    E = table.shape[1]
    embeddings.word_embeddings.weight.copy_(table)
    inputs = torch.cat([table, torch.ones(len(table), 1)], 1)
    fitted = torch.linalg.lstsq(inputs, entering).solution.T  # [D, E + 1]
    embeddings.embedding_transformation.weight[:, E : 2 * E] = fitted[:, :E]
    embeddings.embedding_transformation.bias.copy_(fitted[:, E])
    head.transform.dense.weight[:E] = teacher.generator_predictions.dense.weight
    head.transform.dense.bias[:E] = teacher.generator_predictions.dense.bias
    head.transform.LayerNorm.weight[:E] = teacher.generator_predictions.LayerNorm.weight
    head.transform.LayerNorm.bias[:E] = teacher.generator_predictions.LayerNorm.bias
    head.dense.weight.zero_()
    return inputs @ fitted.T


def start_wide_embeddings(model, teacher, entering) -> torch.Tensor:
    """BERT and SqueezeBERT: the teacher's table widened half as its projection would, and a norm.

    The table is read at both ends. Times the projection it gives the states that enter the
    teacher's first layer, but the head cannot read the directions that the projection makes small;
    times a rotation it is the other way round. The square roots of the projection's singular
    values do both nearly as well. The norm is fitted to the states that enter the first layer.
    Returns the table [V, D].
    """
    theirs, ours = teacher.convbert.embeddings, model.base_model.embeddings
    projection = teacher.convbert.embeddings_project.weight * theirs.LayerNorm.weight  # [D, E]
    u, values, v = torch.linalg.svd(projection.T, full_matrices=False)
    table = theirs.word_embeddings.weight @ (u * values.sqrt() @ v)  # [V, D]
    table *= theirs.word_embeddings.weight.std() / table.std() / 2**0.5  # rows as long as before
    ours.word_embeddings.weight.copy_(table)
    normed = F.layer_norm(table, table.shape[1:])
    wanted = entering - entering.mean(0)
    ours.LayerNorm.weight.copy_((normed * wanted).mean(0) / normed.var(0))
    ours.LayerNorm.bias.copy_(entering.mean(0) - ours.LayerNorm.weight * normed.mean(0))
    model.cls.predictions.transform.LayerNorm.weight.fill_(1.5)  # as long as the teacher's
    return table


def start_bert_layers(model, teacher, batch) -> None:
    """BERT: layer for layer, the teacher's attention heads and the neurons that do most.

    Half of the teacher's heads are convolutions: the values of those go to attention heads, whose
    queries and keys have to be learnt. Of the feed-forward neurons those that move the output most
    are kept; what the others do on average goes into the bias.
    """
    neurons, hooks = [], []
    for layer in teacher.convbert.encoder.layer:
        hook = layer.intermediate.register_forward_hook(
            lambda *a: neurons.append(a[2].flatten(0, 1))
        )
        hooks.append(hook)
    hidden_states(teacher, batch)
    for hook in hooks:
        hook.remove()
    layers = zip(model.bert.encoder.layer, teacher.convbert.encoder.layer, neurons)
    for ours, theirs, active in layers:
        attention, source = ours.attention.self, theirs.attention.self
        A = source.all_head_size
        for name in ("query", "key", "value"):
            getattr(attention, name).weight[:A] = getattr(source, name).weight
            getattr(attention, name).bias[:A] = getattr(source, name).bias
        attention.value.weight[A:] = source.conv_out_layer.weight
        attention.value.bias[A:] = source.conv_out_layer.bias
        out = theirs.output.dense.weight  # [D, F]
        effect = active.var(0) * out.square().sum(0)
        order = effect.argsort(descending=True)
        kept, left_out = order.split([n := ours.intermediate.dense.out_features, len(order) - n])
        ours.intermediate.dense.weight.copy_(theirs.intermediate.dense.weight[kept])
        ours.intermediate.dense.bias.copy_(theirs.intermediate.dense.bias[kept])
        ours.output.dense.weight.copy_(out[:, kept])
        average = out[:, left_out] @ active.mean(0)[left_out]
        ours.output.dense.bias.copy_(theirs.output.dense.bias + average)
        ours.output.LayerNorm.load_state_dict(theirs.output.LayerNorm.state_dict())
        ours.attention.output.load_state_dict(theirs.attention.output.state_dict())


def fit_head(model, teacher, batches, passes: int = 6) -> None:
    """Let the masked-LM head make of the teacher's last hidden states what the teacher does.

    A minute here saves the student a plateau: its hidden states are near the teacher's long before
    a head that starts from nothing has learnt to read them.
    """
    kept = []
    for batch in batches:
        with torch.no_grad():
            hidden = hidden_states(teacher, batch)[0][-1].flatten(0, 1)[batch["where"]].float()
            kept.append((hidden, vocabulary_logits(teacher, hidden).log_softmax(-1).bfloat16()))
    table = model.get_input_embeddings().weight
    head = [p for p in model.cls.predictions.parameters() if p is not table]
    optimizer = torch.optim.AdamW(head, weight_decay=0.0)
    steps = passes * len(kept)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        hidden, wanted = kept[step % len(kept)]
        loss = soft_loss(vocabulary_logits(model, hidden), wanted.float())
        model.zero_grad()
        loss.backward()
        optimizer.step()
        if step % len(kept) == 0 or step == steps - 1:
            print(f"head, step {step}: {loss.item():.3f} nats from the teacher", flush=True)
    model.zero_grad()


def soft_loss(logits, wanted):
    """Return the mean divergence of predictions from the wanted log probabilities."""
    return F.kl_div(logits.log_softmax(-1), wanted, reduction="batchmean", log_target=True)


# ---- each step -----------------------------------------------------------------------------


class MixedTargets(torch.autograd.Function):
    """Cross entropy of the teacher's distribution and the truth, mixed: `soft` of the first.

    The gradient with respect to the logits is their softmax less the target. Written by hand since
    a fifth of the time went into passes over arrays of hidden pieces x vocabulary.
    Returns the loss, and the part of it that is the truth's, for the log, both a mean.
    """

    @staticmethod
    def forward(ctx, logits, theirs, labels, soft):
        rows = torch.arange(len(labels))
        target = theirs.softmax(-1).mul_(soft)
        target[rows, labels] += 1 - soft
        log_probs = logits.log_softmax(-1)
        truth = -log_probs[rows, labels].mean()
        loss = -torch.dot(target.flatten(), log_probs.flatten()) / len(labels)
        ctx.save_for_backward(log_probs.exp_().sub_(target).div_(len(labels)))
        ctx.mark_non_differentiable(truth)
        return loss, truth

    @staticmethod
    def backward(ctx, gradient, _):
        return ctx.saved_tensors[0] * gradient, None, None, None


def transfer_loss(name: str, states, logits, teacher, batch, left: float):
    """Return the loss of a student by its teacher and by the truth, and that by the truth alone.

    Three parts: the distance of hidden states at every position that holds a piece ([CLS] left
    out, which next-sentence prediction needs); the divergence from the teacher's distribution at
    the hidden pieces; and their negative log likelihood. `left` falls from 1 to 0 as the rate
    falls, and with it the weight of the first part and of the second against the third.
    """
    with torch.no_grad():
        wanted, _ = hidden_states(teacher, batch)
        theirs = vocabulary_logits(teacher, wanted[-1].flatten(0, 1)[batch["where"]])
    counted = batch["attended"].clone()
    counted[:, 0] = 0
    distance = 0.0
    taught = FAMILIES[name].taught
    for ours, layer in taught.items():
        target, state = wanted[layer].float(), states[ours].float()
        if name == "mobilebert":  # without norms the scale has to be learnt too
            scale = target.std()
            target, state = target / scale, state / scale
        else:
            target, state = (F.layer_norm(x, x.shape[-1:]) for x in (target, state))
        error = target - state
        error = (
            (error - error.mean(0)).square().mean(-1)
        )  # [B, T], but for what a place adds to all
        distance = distance + (error * counted).sum() / counted.sum() / len(taught)
    soft = 0.3 + 0.4 * left
    guess, truth = MixedTargets.apply(logits, theirs, batch["labels"], soft)
    return (0.5 + 3.5 * left) * distance + guess, truth, distance
