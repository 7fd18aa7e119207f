"""Make question_answers.json: what the question answering pipeline of transformers 4 answers.

transformers 5 has no such pipeline. This runs where version 4.57.6 is installed beside npbert:

    python -m pip install --target OLD --no-deps transformers==4.57.6 "tokenizers<0.23" \
        "huggingface_hub<1" requests urllib3 idna charset_normalizer certifi
    PYTHONPATH=OLD:. python tests/scripts/make_question_answers.py
"""

import json
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from task_checkpoints import FAMILIES, make_checkpoint

FILE = Path(__file__).parents[1] / "fixtures" / "question_answers.json"
LONGEST = 40  # tokens

LONG = (
    "Plants make sugar from light and water. The cat sat on the mat in the garden. "
    "New York is not London, it was new. A naïve cafe\u0301 is un-lightable, 東京 isn't! "
) * 2
CALLS = {
    "short": ("What make plants?", "Plants make sugar from light.", {}),
    "top_k": ("What make plants?", "Plants make sugar from light.", {"top_k": 4}),
    "all spans": ("cat?", "the cat sat", {"top_k": 6, "align_to_words": False}),
    "long": ("Where is the cat?", LONG, {}),
    "long, top_k": ("Where is the cat?", LONG, {"top_k": 5}),
    "long, gap": ("[MASK] is not London", LONG, {"top_k": 3}),
    "doc_stride 0": ("Where is the cat?", LONG, {"top_k": 5, "doc_stride": 0}),
    "doc_stride 30": ("cat", LONG, {"top_k": 5, "doc_stride": 30}),
    "max_seq_len": ("Where?", LONG, {"top_k": 5, "max_seq_len": 17, "doc_stride": 4}),
    "one piece": ("Where?", LONG, {"top_k": 3, "max_answer_len": 1}),
    "one piece, not aligned": (
        "Where?",
        LONG,
        {"top_k": 3, "max_answer_len": 1, "align_to_words": False},
    ),
    "long answers": ("Where is the cat?", LONG, {"top_k": 3, "max_answer_len": 60}),
    "not aligned": ("un-light", LONG, {"top_k": 5, "align_to_words": False}),
    "not aligned, best": ("un-light", LONG, {"align_to_words": False}),
    "impossible": ("Who?", "The cat sat.", {"handle_impossible_answer": True}),
    "impossible, top_k": (
        "Who?",
        LONG,
        {"handle_impossible_answer": True, "top_k": 99, "max_answer_len": 1},
    ),
    "[CLS] in the question": ("who [CLS]?", "The cat sat on the mat", {"top_k": 2}),
    "special tokens, odd characters": (
        "☃ \u00ad?",
        "[SEP] un\u00adlight\u200bed ☃, \u1e9b\u0323 [CLS] ½ dog\n\tdog DOG",
        {"top_k": 5},
    ),
    "several": (["What?", "The cat?"], ["Plants make sugar.", LONG], {}),
    "several, top_k": (["What?", "The cat?"], ["Plants make sugar.", LONG], {"top_k": 2}),
    "one context": (["What?", "The cat?"], "Plants make sugar.", {}),
    "a list of one": (["What?"], ["Plants make sugar."], {"top_k": 2}),
}


def main():
    assert transformers.__version__ == "4.57.6", transformers.__version__
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    answers = {}
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            make_checkpoint(Path(folder), family, "ForQuestionAnswering", LONGEST)
            pipeline = transformers.pipeline(
                "question-answering",
                model=folder,
                tokenizer=transformers.BertTokenizerFast.from_pretrained(folder),
                model_kwargs={"attn_implementation": "eager"},
            )
            answers[family] = {
                name: pipeline(question=question, context=context, **options)
                for name, (question, context, options) in CALLS.items()
            }
    stored = {"transformers": transformers.__version__, "max_length": LONGEST}
    stored |= {"calls": CALLS, "answers": answers}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
