"""The tasks the checkpoints are fine-tuned on: each module makes its examples out of the corpus.

Every module has the same names, which finetune.py and evaluate_tasks.py use:

    NAMES, BASE           the checkpoints that do the task, the last one fine-tuned for it; its base
    HEAD, LABELS          the kind of head, and what its classes are called
    EXAMPLES              how many of the training split are used
    examples(split, ...)  the examples of a split, "train", "validation" or "test": a function of
                          the corpus and the vocabulary, the same on every machine
    encode(example, ...)  -> what the model is given: ids, token types, the answer as numbers
    prediction(...)       logits of an example -> what the model says
    measures(...)         what is right and what was said -> figures between 0 and 1
    baselines(...)        what chance and simple methods say of the same examples
"""

TASKS = ("restore", "disturbed", "answer", "choice", "next_sentence")
