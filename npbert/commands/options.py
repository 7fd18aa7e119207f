"""The parser of each command: its options, its help, and an example that works."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from typing import Any

from npbert.commands.exercises import add_exercises
from npbert.commands.golden import add_golden
from npbert.commands.parsing import Parser, add, add_json, count, file_path, path
from npbert.commands.places import add_cache, add_model


def make_parser() -> Parser:
    """Return the parser of all commands; a command's function is its default `run`."""
    from npbert import __version__

    parser = Parser(prog="npbert", description="Efficient BERTs in plain NumPy.")
    parser.add_argument("--version", action="version", version=f"npbert {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for add_one in (
        add_fill_mask,
        add_classify,
        add_tokens,
        add_restore,
        add_answer,
        add_choose,
        add_next,
        add_embed,
        add_tokenize,
        add_trace,
        add_models,
        add_convert,
        add_inspect,
        add_golden,
        add_exercises,
    ):
        add_one(commands)
    return parser


def add_common(
    command: Parser, line: str, results: str, fields: tuple[str, ...] = ("text",)
) -> None:
    """Add what all tasks take.

    line: what a line of --input holds. results: the columns of an --output that is a table. fields:
    the names of the column of the text and, if there can be one, of that of a second text.
    """
    text, *second = fields
    add_model(command, "--model", "MODEL")
    add_json(command)
    corpus = command.add_argument_group(
        "a corpus",
        "The endings of the files' names say what they are: .txt, .jsonl, .csv or .parquet (extra\n"
        "`data`). Of .txt, of standard input and of a name without ending every line is "
        f"{line}.\nOf the others a column holds the text, and all columns are kept. A row that "
        'cannot be\nanswered has an "error" for a result, and the exit status is then 1.\n'
        f'Lines of JSON have the "result"; .csv and .parquet the columns {results},\nand error; '
        ".txt the first of these alone. Blank lines are skipped.",
    )
    corpus.add_argument(
        "--input", metavar="FILE", type=file_path, help="answer every row (-: standard input)"
    )
    corpus.add_argument(
        "--output",
        metavar="FILE",
        type=file_path,
        help="where the results go (default: standard output, as lines of JSON)",
    )
    corpus.add_argument("--text-column", metavar="NAME", help=f"its column (default {text})")
    for pair in second:
        corpus.add_argument(
            "--pair-column", metavar="NAME", help=f"that of what goes with it (default {pair})"
        )
    corpus.add_argument(
        "--workers",
        type=count,
        default=1,
        metavar="N",
        help="compute in so many processes, of one thread each, that share the model's weights "
        "(default: in one, with a thread for each core)",
    )
    corpus.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="compute on the Dask cluster whose scheduler this is (extra `dask`); --output is a "
        "directory then, which gets a .parquet for every thousand rows, and at last _SUCCESS",
    )
    corpus.add_argument(
        "--resume", action="store_true", help="go on where an earlier run to --output ended"
    )
    corpus.add_argument("--force", action="store_true", help="begin anew, whatever --output holds")
    corpus.add_argument(
        "--strict", action="store_true", help="stop at the first row that cannot be answered"
    )


def add_truncation(command: Parser) -> None:
    command.add_argument(
        "--truncation", action="store_true", help="cut a text that is too long for the model"
    )


def add_head(command: Parser) -> None:
    command.add_argument("--head", help="Model, ForMaskedLM, ... (default: what the config says)")


TEXT_LINE = "a text"


def columns(*names: str) -> str:
    return f"{', '.join(names)} with tabs between, or a JSON object with these names"


def add_fill_mask(commands: Any) -> None:
    command = add(
        commands,
        "fill-mask",
        "tasks.fill_mask",
        "say which words fill the [MASK] in a text",
        "Say which words best fill the [MASK] in a text, with their probabilities.",
        '  npbert fill-mask "He drank a cup of [MASK]." --top-k 3',
    )
    command.add_argument("text", metavar="TEXT", nargs="*", help="with one [MASK] or more")
    command.add_argument("--top-k", type=int, default=5, metavar="N", help="candidates (default 5)")
    command.add_argument("--targets", metavar="A,B", help="consider only these word pieces")
    add_truncation(command)
    add_common(command, TEXT_LINE, "token_str, score, candidates (lists, an item for each mask)")


def add_classify(commands: Any) -> None:
    command = add(
        commands,
        "classify",
        "tasks.classify",
        "say which label a text has",
        "Say which label a text has, with scores. The shipped model tells whether a sentence is\n"
        "as somebody wrote it, or was disturbed: a word doubled, dropped, in a wrong form, or two\n"
        "neighbours swapped.",
        '  npbert classify "He go to to school."',
    )
    command.add_argument("text", metavar="TEXT", nargs="*", help="a text to classify")
    command.add_argument("--pairs", action="store_true", help="two texts each are a pair")
    command.add_argument("--top-k", type=int, metavar="N", help="labels (default: all)")
    command.add_argument(
        "--function-to-apply",
        metavar="NAME",
        help="softmax, sigmoid or none (default: what the model was trained for)",
    )
    add_truncation(command)
    fields = ("text", "text_pair")
    line = f"{TEXT_LINE}; with --pairs {columns(*fields)}"
    add_common(command, line, "label, score, labels (a list)", fields)


def add_tokens(commands: Any) -> None:
    command = add(
        commands,
        "tokens",
        "tasks.tokens",
        "say which label every token of a text has",
        "Say which label every token of a text has, with its probability and its place in\n"
        "characters. The shipped model says how a word is written and what follows it.",
        '  npbert tokens "the cat sat on the mat" --aggregation-strategy first',
    )
    command.add_argument("text", metavar="TEXT", nargs="*", help="a text to label")
    command.add_argument(
        "--aggregation-strategy",
        metavar="NAME",
        default="none",
        help="none, simple, first, average or max: how tokens become words and entities",
    )
    command.add_argument(
        "--ignore-labels", metavar="A,B", help="leave these labels out (default: O)"
    )
    command.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="read a long text in windows that share N tokens (default: its beginning alone)",
    )
    add_common(command, TEXT_LINE, "entities (a list)")


def add_restore(commands: Any) -> None:
    command = add(
        commands,
        "restore",
        "tasks.restore",
        "put capitals and punctuation back into a text",
        "Put capitals and punctuation back into a text that has lost them, and print it.\n"
        "A text may be of any length.",
        '  npbert restore "where did he go i asked but mary did not know"',
    )
    command.add_argument("text", metavar="TEXT", nargs="*", help="a text to mend")
    add_common(command, TEXT_LINE, "restored")


def add_answer(commands: Any) -> None:
    command = add(
        commands,
        "answer",
        "tasks.answer",
        "find the answer to a question in a text",
        "Find the answer to a question in a text. The shipped model takes a sentence with a gap,\n"
        "[MASK] or ___, for a question, and finds the words that fill it.",
        '  npbert answer "The Danube flows into the ___." '
        '"The Danube rises in the Black Forest, crosses ten countries and ends in the Black Sea."',
    )
    command.add_argument("question", metavar="QUESTION", nargs="?", help="what is asked")
    command.add_argument("context", metavar="CONTEXT", nargs="?", help="the text with the answer")
    command.add_argument(
        "--context-file",
        metavar="FILE",
        type=file_path,
        help="read the context from a file (-: standard input)",
    )
    command.add_argument("--top-k", type=int, default=1, metavar="N", help="answers (default 1)")
    command.add_argument(
        "--doc-stride",
        type=int,
        metavar="N",
        help="how many tokens two windows over a long context share (default: at most 128)",
    )
    command.add_argument(
        "--max-answer-len", type=int, default=15, metavar="N", help="in tokens (default 15)"
    )
    command.add_argument(
        "--handle-impossible-answer", action="store_true", help='let "no answer" be an answer'
    )
    fields = ("question", "context")
    results = "answer, score, start, end, answers (a list, with --top-k)"
    add_common(command, columns(*fields), results, fields)


def add_choose(commands: Any) -> None:
    command = add(
        commands,
        "choose",
        "tasks.choose",
        "say which of several texts comes next",
        "Say which of several texts goes best with a prompt, with probabilities. The shipped\n"
        "model says which sentence comes next.",
        '  npbert choose "It began to rain." "She opened her umbrella." "Iron is a metal."',
    )
    command.add_argument("prompt", metavar="PROMPT", nargs="?", help="what comes before")
    command.add_argument("choices", metavar="CHOICE", nargs="*", help="at least two texts")
    add_truncation(command)
    line = "prompt and choices with tabs between, or a JSON object with these two names"
    add_common(command, line, "choice, index, score, ranking (a list)", ("prompt", "choices"))


def add_next(commands: Any) -> None:
    command = add(
        commands,
        "next",
        "tasks.next_sentence",
        "say whether a text follows another",
        "Say whether the second text follows the first (IsNext) or not (NotNext).",
        '  npbert next "He went to the kitchen." "There he made himself some tea."',
    )
    command.add_argument("first", metavar="FIRST", nargs="?", help="a text")
    command.add_argument("second", metavar="SECOND", nargs="?", help="what may come after it")
    add_truncation(command)
    fields = ("first", "second")
    add_common(command, columns(*fields), "label, score", fields)


def add_embed(commands: Any) -> None:
    command = add(
        commands,
        "embed",
        "tasks.embed",
        "turn texts into vectors",
        "Turn a text into a vector: as the folder of a sentence-embedding model says, or the mean\n"
        "of its hidden states in the last layer. For several texts, show how alike they are (the\n"
        "cosines of the angles between their vectors).",
        '  npbert embed "The cat sleeps." "A dog is sleeping." "Prices rise."',
    )
    command.add_argument("text", metavar="TEXT", nargs="*", help="a text")
    command.add_argument(
        "--pooling",
        metavar="NAME",
        help="whatever the folder says: mean (of all tokens), first (token), or none (a vector for "
        "each token)",
    )
    command.add_argument(
        "--prompt-name", metavar="NAME", help="which of the folder's prompts to put before a text"
    )
    command.add_argument(
        "--normalize",
        action=BooleanOptionalAction,
        help="give every vector length 1, or leave that out (default: as the folder says)",
    )
    add_truncation(command)
    add_common(command, TEXT_LINE, "embedding (a list of float)")


def add_tokenize(commands: Any) -> None:
    command = add(
        commands,
        "tokenize",
        "files.tokenize",
        "show stage by stage how a text becomes tokens",
        "Show what each stage of the tokenizer makes of a text or a pair, the tokens with their\n"
        "ids, and the characters that each token stands for.",
        '  npbert tokenize "The unaffable man, 東京!"',
    )
    command.add_argument("text", metavar="TEXT", help="a text; [MASK] and its like may be in it")
    command.add_argument("pair", metavar="PAIR", nargs="?", help="a second text")
    add_model(command, "--model", "MODEL")
    add_json(command)


def add_trace(commands: Any) -> None:
    command = add(
        commands,
        "trace",
        "files.trace",
        "write a page that shows every line of a forward pass with its values",
        "Run a model on a text and write a page on which the forward pass can be followed: the\n"
        "source line by line as it ran, and what each line computed. The page is one file that\n"
        "needs no network.",
        '  npbert trace convbert-tiny "The sky is [MASK]." -o page.html',
    )
    add_model(command, "model", "MODEL")
    command.add_argument("text", metavar="TEXT", help="a text")
    command.add_argument(
        "more",
        metavar="SECOND",
        nargs="*",
        help="a second text, for a pair; for a multiple-choice model at least two choices",
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=file_path,
        help="the page to write (default: MODEL-trace.html); with --live the folder",
    )
    command.add_argument(
        "--live",
        action="store_true",
        help="write a folder for a web server, with a page on which a reader's own text runs and "
        "the source can be changed (default: MODEL-live)",
    )
    command.add_argument(
        "--engine",
        metavar="ADDRESS",
        help="with --live: where the page finds Pyodide (default: its official distribution)",
    )
    add_head(command)
    add_truncation(command)


def add_models(commands: Any) -> None:
    command = add(
        commands,
        "models",
        "files.models",
        "list the checkpoints that ship with npbert, or are in the cache of the Hub",
        "List the checkpoints that ship with npbert, and the commands that each is good for; or\n"
        "those of the four families that are in the cache of the Hugging Face Hub.",
        "  npbert models\n  npbert models --cached",
    )
    command.add_argument(
        "--cached", action="store_true", help="list those in the cache of the Hub instead"
    )
    add_cache(command)
    add_json(command)


def add_convert(commands: Any) -> None:
    command = add(
        commands,
        "convert",
        "files.convert",
        "rewrite a checkpoint of any readable format as safetensors",
        "Write a checkpoint into a new directory as safetensors, with its config.json and\n"
        "tokenizer files; every tensor is kept, tied ones once.",
        "  npbert convert old-model new-model --dtype float32",
    )
    add_model(command, "source", "SRC")
    command.add_argument(
        "target", metavar="DST", type=path, help="the directory to write, made if missing"
    )
    command.add_argument("--dtype", help="float16, float32 or float64 (default: as it is)")
    command.add_argument("--force", action="store_true", help="write into a directory in use")


def add_inspect(commands: Any) -> None:
    command = add(
        commands,
        "inspect",
        "files.inspect",
        "show what a checkpoint holds, and what it lacks for a head",
        "Show a checkpoint's config, parameters by module, tensors as they are stored, and what\n"
        "is missing or unexpected for a model class.",
        "  npbert inspect convbert-tiny --head ForMaskedLM",
    )
    add_model(command, "model", "MODEL")
    add_head(command)
    add_json(command)
