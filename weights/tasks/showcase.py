"""The examples in the model cards: written by hand before any model was asked, kept as they are."""

from __future__ import annotations

from npbert.tasks.restoration import mend_word

from . import answer, choice, disturbed, next_sentence, restore

RESTORE = [
    "my name is anna and i live in london with my brother peter what is your name",
    "the cell is the smallest unit of life every living thing is made of cells",
    "in 1969 neil armstrong walked on the moon it was a great day for the united states",
    "where are you going she asked he did not answer",
    "the french revolution began in 1789 and lasted until 1799",
    "plants need three things to grow water light and air",
    "when the rain stopped the children ran out of the house and played in the street",
    "mr smith said that he would come on monday but he came on tuesday",
    "what a beautiful day cried the old woman come and sit by the fire",
    "dna carries the genes of an organism however not every gene is active in every cell",
]

DISTURBED = [
    ("The children went to school early in the morning.", "original"),
    ("The children went school to early in the morning.", "swapped"),
    ("He drank a cup of coffee before he left the house.", "original"),
    ("He drank a cup coffee before he left the house.", "dropped"),
    ("The heart pumps blood through the body.", "original"),
    ("The heart pumps blood through the the body.", "doubled"),
    ("She has an old dog that sleeps all day.", "original"),
    ("She has a old dog that sleeps all day.", "wrong form"),
    ("Water freezes when the temperature falls below zero.", "original"),
    ("Water freezing when the temperature falls below zero.", "wrong form"),
]

PASSAGES = [
    "Mary lived in a small house by the sea. Every morning she walked along the beach with her "
    "dog Max and looked for shells. In the evening she sat by the fire and wrote letters to her "
    "sister.",
    "Photosynthesis takes place in the leaves of plants. The leaves take in carbon dioxide from "
    "the air and water from the soil, and use the energy of sunlight to make sugar. Oxygen is "
    "given off.",
    "Abraham Lincoln became president in 1861. The Civil War began in the same year, and in 1863 "
    "he signed the Emancipation Proclamation. He was shot in a theater in Washington in 1865.",
]
ANSWER = [
    ("The dog was called [MASK].", 0, "Max"),
    ("Mary went to the beach to find [MASK].", 0, "shells"),
    ("The letters were for her [MASK].", 0, "sister"),
    ("Plants use light to produce [MASK].", 1, "sugar"),
    ("The roots of a plant take up [MASK].", 1, "water"),
    ("A gas called [MASK] leaves the plant.", 1, "Oxygen"),
    ("Photosynthesis happens in the [MASK].", 1, "leaves"),
    ("The president during the Civil War was [MASK].", 2, "Abraham Lincoln"),
    ("The war broke out in [MASK].", 2, "1861"),
    ("Lincoln was killed in the city of [MASK].", 2, "Washington"),
]

# The first choice is the right one; the others are in the order in which they are given.
CHOICE = [
    (
        "The boy was very hungry. He opened the door of the kitchen.",
        "There was some bread on the table.",
        "The treaty was signed in the spring of that year.",
        "Every cell is surrounded by a membrane.",
        "The doctor looked out of the window of the train.",
    ),
    (
        "The heart is a muscle. It contracts about seventy times a minute.",
        "With each contraction it pumps blood into the arteries.",
        "The king had three daughters and no son.",
        "Businesses hire more workers when demand rises.",
        "The kidneys remove waste from the blood.",
    ),
    (
        "Once there was a lion who lived in the forest. All the other animals were afraid of him.",
        "One day a little mouse ran over his nose while he slept.",
        "Congress passed the bill in March.",
        "The lungs take up oxygen from the air.",
        "She put on her hat and went to the theater.",
    ),
    (
        "The war had lasted four years. The soldiers were tired and the treasury was empty.",
        "In the autumn both sides agreed to talk about peace.",
        "The monkey climbed the tree and threw down a nut.",
        "The boiling point of water is lower in the mountains.",
        "Your schedule should leave time for sleep.",
    ),
    (
        "Temperature is a measure of how fast molecules move. When a gas is heated, its molecules "
        "move faster.",
        "They strike the walls of the container more often, and the pressure rises.",
        "Temperature is given in degrees Celsius in most countries.",
        "He took off his coat and sat down by the stove.",
        "Voters elect a new president every four years.",
    ),
    (
        '"Have you seen my brother?" asked the girl. The old man shook his head.',
        '"Nobody has come this way since morning," he said.',
        "The economy grew by three percent.",
        "Enzymes speed up chemical reactions.",
        "The country lies on the coast of West Africa.",
    ),
    (
        "If the price of coffee rises, many people buy tea instead. Economists call such goods "
        "substitutes.",
        "Butter and margarine are another example.",
        "A budget is a plan for spending money.",
        "The wolf waited behind the trees.",
        "The nerve carries signals to the brain.",
    ),
    (
        "The train was late again. Anna sat down on her suitcase and looked at the clock.",
        "At last she heard a whistle in the distance.",
        "The clock was invented in the Middle Ages.",
        "Sociologists study groups of people.",
        "Iron reacts with oxygen to form rust.",
    ),
    (
        "Bacteria can be killed by antibiotics. Some bacteria, however, have become resistant.",
        "They survive the treatment and pass the resistance on to their offspring.",
        "Bacteria were first seen by Leeuwenhoek with a microscope.",
        "The prince fell in love with her at once.",
        "The Senate rejected the president's plan.",
    ),
    (
        "She read the letter twice. Then she folded it slowly and put it into the fire.",
        '"What did he write?" asked her mother.',
        "Letters are delivered by the postal service.",
        "The stars seem to move from east to west.",
        "Wages depend on how many people want to work.",
    ),
]

NEXT_SENTENCE = [
    ("The boy opened the door.", "There was nobody in the room."),
    ("The boy opened the door.", "Inflation is measured by the consumer price index."),
    ("Cells need energy.", "They get it by breaking down sugar."),
    ("Cells need energy.", "The army crossed the river at night."),
]


def mended(word: str, label: str) -> str:
    return "".join(mend_word(word, label))


def restored(call) -> list[str]:
    """Return Markdown rows; `call(task, example)` gives what the model says of one example."""
    rows = ["| typed | mended |", "|---|---|"]
    for text in RESTORE:
        example = restore.Example(text.split(), ["lower"] * len(text.split()))
        labels = call(restore, example)
        rows.append(f"| {text} | {' '.join(map(mended, example.words, labels))} |")
    return rows


def recognised(call) -> list[str]:
    rows = ["| sentence | it is | the model says |", "|---|---|---|"]
    for text, kind in DISTURBED:
        example = disturbed.Example(text, kind)
        said = disturbed.LABELS[call(disturbed, example)]
        rows.append(f"| {text} | {kind} | {said}{wrong(said == disturbed.LABELS[example.label])} |")
    return rows


def answered(call) -> list[str]:
    rows = [f"> {number}. {passage}\n>" for number, passage in enumerate(PASSAGES, 1)]
    rows += ["", "| passage | question | right | the model says |", "|---|---|---|---|"]
    for question, number, right in ANSWER:
        said = call(answer, answer.Example(question, PASSAGES[number], right))
        mark = wrong(answer.words(said) == answer.words(right))
        rows.append(f"| {number + 1} | {question} | {right} | {said}{mark} |")
    return rows


def chosen(call) -> list[str]:
    rows = ["| passage | right | the model says |", "|---|---|---|"]
    for prompt, *choices in CHOICE:
        said = choices[call(choice, choice.Example(prompt, choices, 0))]
        rows.append(f"| {prompt} | {choices[0]} | {said if said != choices[0] else 'the same'} |")
    return rows


def paired(call) -> list[str]:
    rows = ["| first | second | the model says |", "|---|---|---|"]
    for first, second in NEXT_SENTENCE:
        label = call(next_sentence, next_sentence.Example(first, second, 0))
        rows.append(f"| {first} | {second} | {('follows', 'does not follow')[label]} |")
    return rows


def wrong(is_right: bool) -> str:
    return "" if is_right else " (wrong)"


TABLES = {
    "restore": restored,
    "disturbed": recognised,
    "answer": answered,
    "choice": chosen,
    "next_sentence": paired,
}
