"""Write the section with exercises of every chapter anew, from npbert/exercises/."""

from pathlib import Path

from npbert.exercises.catalogue import CHAPTERS
from npbert.exercises.sections import with_section


def main() -> None:
    for chapter in CHAPTERS:
        path = Path(__file__).with_name(f"{chapter}.md")
        text = path.read_text(encoding="utf-8")
        path.write_text(with_section(text, chapter), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
