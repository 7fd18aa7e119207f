"""The section of a chapter that sets its exercises, as text of a MyST notebook."""

from __future__ import annotations

import re

from npbert.exercises.catalogue import CHAPTERS
from npbert.exercises.exercise import Exercise

OPENING = """\
Fill in the functions. Each check calls yours with random inputs and compares the results with those
of the solution. Where they differ it says in what, and for a likely mistake which one it is. Hints
and solutions are folded. `npbert exercises check FILE` judges a file of answers.
"""


def opening(chapter: str) -> str:
    """Return what stands before the exercises: what to do, and imports of what they use."""
    lines = {line for exercise in CHAPTERS[chapter] for line in exercise.imports()}
    modules = {line.removeprefix("from npbert import ") for line in lines if " npbert " in line}
    others = sorted(lines - {f"from npbert import {name}" for name in modules})
    ours = f"from npbert import {', '.join(sorted({'exercises', *modules}))}"
    parts = ["\n".join(others), ours] if others else [ours]
    return f"{OPENING}\n```{{code-cell}} ipython3\n" + "\n\n".join(parts) + "\n```\n"


def one(number: int, exercise: Exercise) -> str:
    """Return the text of one exercise: a cell to fill in, hint and solution folded."""
    return f"""\
### {number}. `{exercise.name}`

```{{code-cell}} ipython3
{exercise.stub()}


exercises.check("{exercise.name}", {exercise.name})
```

<details><summary>Hint</summary>

{exercise.hint}

</details>

<details><summary>Solution</summary>

```python
{exercise.answer()}
```

</details>
"""


def section(chapter: str) -> str:
    """Return the section with the exercises of a chapter, its heading included."""
    texts = [one(number, exercise) for number, exercise in enumerate(CHAPTERS[chapter], 1)]
    return "\n".join(["## Exercises\n", opening(chapter), *texts, "+++\n\n"])


def with_section(text: str, chapter: str) -> str:
    """Return the text of a chapter with its section on exercises made anew."""
    pattern = r"^## Exercises\n.*?(?=^## Where to read next$)"
    changed, count = re.subn(
        pattern, lambda _: section(chapter), text, flags=re.DOTALL | re.MULTILINE
    )
    if count != 1:
        raise ValueError(f"{chapter} has {count} sections on exercises, expected 1")
    return changed
