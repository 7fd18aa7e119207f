"""Models of every family in sizes that all differ, so that no size can be taken for another."""

from npbert import bert, convbert, mobilebert, squeezebert
from npbert.model import config, heads

# Sizes that all differ, so that no letter can stand for another by chance.
B, T, V, D, E, I, H, S, K, G = 14, 8, 97, 60, 20, 44, 3, 10, 9, 4
Q, N, L = 2, 7, 5  # questions, the choices of each, and labels, of heads alone
SIZES = dict(vocab_size=V, hidden_size=D, intermediate_size=I, max_position_embeddings=11)
BERT = SIZES | dict(num_attention_heads=H, num_hidden_layers=1)
CONVBERT = SIZES | dict(num_attention_heads=2 * H, num_hidden_layers=1, conv_kernel_size=K)

# name -> (module, config, letters); a family is one or more entries here.
MODELS = {
    "Bert": (bert, config.BertConfig(**BERT), dict(B=B, T=T, V=V, D=D, I=I, H=H, S=D // H)),
    "ConvBert": (
        convbert,
        config.ConvBertConfig(**CONVBERT, embedding_size=E, num_groups=G),
        dict(B=B, T=T, V=V, D=D, E=E, I=I, H=H, S=S, A=H * S, K=K, G=G),
    ),
    "ConvBert, without groups and projection": (
        convbert,
        config.ConvBertConfig(**CONVBERT, embedding_size=D),
        dict(B=B, T=T, V=V, D=D, E=D, I=I, H=H, S=S, A=H * S, K=K),
    ),
    "MobileBert": (
        mobilebert,
        config.MobileBertConfig(**BERT, embedding_size=E + 1, intra_bottleneck_size=H * S),
        dict(B=B, T=T, V=V, D=D, E=E + 1, C=H * S, I=I, H=H, S=S),  # 3*E would be D
    ),
    "MobileBert, without trigrams and bottleneck": (
        mobilebert,
        config.MobileBertConfig(
            **BERT, embedding_size=D, trigram_input=False, use_bottleneck=False
        ),
        dict(B=B, T=T, V=V, D=D, E=D, C=D, I=I, H=H, S=D // H),
    ),
    "SqueezeBert": (
        squeezebert,
        config.SqueezeBertConfig(**BERT, embedding_size=D),
        dict(B=B, T=T, V=V, D=D, I=I, H=H, S=D // H),
    ),
}


def classes_of(name):
    """Return the classes of a family's models, but not the abstract ones."""
    module, family = MODELS[name][0], name.split(",")[0]
    return [
        item
        for key, item in vars(module).items()
        if key.startswith((f"{family}For", f"{family}Model")) and not key.endswith("Output")
    ]


def labels_for(model, ids):
    """Return labels for texts of these ids [B, T] as the head takes them; none for an encoder."""
    texts = [0] * len(ids)
    if isinstance(model, heads.QuestionAnswering):
        return dict(start_positions=texts, end_positions=texts)
    if isinstance(model, heads.PreTraining):
        return dict(labels=ids, next_sentence_label=texts)
    if isinstance(model, heads.TokenClassification):
        return dict(labels=ids % L)
    if isinstance(model, heads.MaskedLM):
        return dict(labels=ids)
    if isinstance(model, heads.MultipleChoice):
        return dict(labels=[0] * Q)
    return {} if isinstance(model, heads.Encoder) else dict(labels=texts)
