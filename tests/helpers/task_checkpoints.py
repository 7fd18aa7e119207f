"""Small checkpoints for the tasks, the same numbers everywhere: no random generator is involved.

They are sharp enough that answers differ, and both npbert and transformers load them.
"""

import json
import string
import zlib

import numpy as np

import npbert

SPECIAL = "[PAD] [UNK] [CLS] [SEP] [MASK]".split()
WORDS = """the a cat dog sat on mat in garden plants make sugar from light water school river stone
is was and or not new york london ##ing ##ed ##s ##er un ##able""".split()
CHARACTERS = string.ascii_lowercase + string.digits
VOCABULARY = [
    *SPECIAL,
    *WORDS,
    *(c for c in CHARACTERS if c != "a"),
    *(f"##{c}" for c in CHARACTERS if c != "s"),
    *".,?!;:'\"()-",
]

SMALL = dict(
    vocab_size=len(VOCABULARY),
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=40,
    max_position_embeddings=40,
)
FAMILIES = {
    "Bert": {},
    "ConvBert": dict(embedding_size=12, conv_kernel_size=5),
    "MobileBert": dict(embedding_size=10, intra_bottleneck_size=16, num_feedforward_networks=2),
    "SqueezeBert": dict(
        embedding_size=24,
        q_groups=2,
        k_groups=3,
        v_groups=4,
        post_attention_groups=6,
        intermediate_groups=4,
        output_groups=2,
    ),
}
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "X-Y-Z", "MISC"]


def numbers(name, shape):
    """Return numbers between -1 and 1 that look random and depend on nothing but the name."""
    x = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) + np.uint64(
        zlib.crc32(name.encode()) << 20
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)  # splitmix64
    return ((x >> np.uint64(11)) * 2.0**-52 - 1).reshape(shape)


def spread(name, shape, family):
    """Return how large the numbers of a tensor are: so that attention is far from uniform."""
    if family != "MobileBert":
        return 2.5 / 24**0.5
    # It has no norms that would keep its hidden states from growing.
    return (10 if ".query." in name or ".key." in name else 1.2) / max(24, shape[-1]) ** 0.5


def make_checkpoint(directory, family, head, max_length=None, **options):
    """Write a checkpoint of a family and head ("ForMaskedLM") with VOCABULARY; return its place.

    max_length: what the tokenizer says is the longest row. options: of the config.
    """
    config = getattr(npbert, f"{family}Config")(**{**SMALL, **FAMILIES[family], **options})
    model = getattr(npbert, family + head)(config)
    for name, array in model.state_dict().items():
        array[...] = spread(name, array.shape, family) * numbers(name, array.shape)
        if "norm" in name.lower() and name.endswith("weight"):
            array += 1
    model.save_pretrained(directory)
    write_tokenizer(directory, max_length)
    return directory


def write_tokenizer(directory, max_length=None):
    text = "".join(f"{piece}\n" for piece in VOCABULARY)
    (directory / "vocab.txt").write_text(text, "utf-8")
    settings = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    if max_length is not None:
        settings["model_max_length"] = max_length
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))


def labelled(*names):
    """Return the options of a config whose classes have these names."""
    return dict(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
