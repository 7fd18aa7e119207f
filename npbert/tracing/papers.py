"""The papers that the code and the book cite: title, year and a link, each once.

What cites a section begins with a key of PAPERS: "Jiang et al. 2020, section 3.2". So do the
annotations of a trace, the manifests of golden kits and the trace page. In a family's file a
section without a paper is one of the paper that its first line names.

    python -m npbert.tracing.papers > tutorials/guide/sources.md

writes the page of the book that lists them.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper: its title, the year in which it was published, its address, what is from it."""

    title: str
    year: int
    link: str
    used: str


PAPERS = {
    "Vaswani et al. 2017": Paper(
        "Attention Is All You Need",
        2017,
        "https://arxiv.org/abs/1706.03762",
        "Attention (section 3.2.1, equation 1), its heads (3.2.2), residual connections "
        "(3.1), the feed-forward network (3.3, equation 2).",
    ),
    "Devlin et al. 2019": Paper(
        "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
        2019,
        "https://arxiv.org/abs/1810.04805",
        "The sum of the embeddings (section 3, figure 2), both kinds of pre-training and "
        "their heads (3.1), the classifiers (4.1 a text or a pair, 4.2 an answer in a text, "
        "4.4 a choice, 5.3 every token).",
    ),
    "Jiang et al. 2020": Paper(
        "ConvBERT: Improving BERT with Span-based Dynamic Convolution",
        2020,
        "https://arxiv.org/abs/2008.02496",
        "The convolution whose filters depend on the phrase (section 3.2), mixed attention "
        "with fewer heads, the grouped feed-forward network (3.3).",
    ),
    "Sun et al. 2020": Paper(
        "MobileBERT: a Compact Task-Agnostic BERT for Resource-Limited Devices",
        2020,
        "https://arxiv.org/abs/2004.02984",
        "Bottlenecks (section 3.1, figure 1), stacked feed-forward networks (3.2), the norm "
        "that does not normalise (3.3), narrow embeddings and three of them side by side "
        "(3.4).",
    ),
    "Iandola et al. 2020": Paper(
        "SqueezeBERT: What can computer vision teach NLP about efficient neural networks?",
        2020,
        "https://arxiv.org/abs/2006.11316",
        "Linear maps as grouped convolutions one token wide. Its sections are not cited by "
        "number, for the text of the paper was not at hand to check them.",
    ),
    "Hendrycks and Gimpel 2016": Paper(
        "Gaussian Error Linear Units (GELUs)",
        2016,
        "https://arxiv.org/abs/1606.08415",
        "GELU (section 2).",
    ),
    "Ba et al. 2016": Paper(
        "Layer Normalization",
        2016,
        "https://arxiv.org/abs/1607.06450",
        "Layer norm (section 3: mean and standard deviation in equation 3, gain and bias as "
        "in equation 4).",
    ),
    "Wu et al. 2019": Paper(
        "Pay Less Attention with Lightweight and Dynamic Convolutions",
        2019,
        "https://arxiv.org/abs/1901.10430",
        "The dynamic convolution before ConvBERT, whose filters depend on one token.",
    ),
    "Clark et al. 2020": Paper(
        "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators",
        2020,
        "https://arxiv.org/abs/2003.10555",
        "The generator whose head ConvBERT's masked-LM head is (section 2).",
    ),
    "Lan et al. 2020": Paper(
        "ALBERT: A Lite BERT for Self-supervised Learning of Language Representations",
        2020,
        "https://arxiv.org/abs/1909.11942",
        "A linear map after narrow embeddings (section 3.1).",
    ),
    "Elfwing et al. 2017": Paper(
        "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in Reinforcement "
        "Learning",
        2017,
        "https://arxiv.org/abs/1702.03118",
        "SiLU, one of the activations.",
    ),
}


def paper_of(section: str) -> Paper | None:
    """Return the paper that a section belongs to, "Sun et al. 2020, section 3.1"; None for ""."""
    return PAPERS[section.partition(",")[0]] if section else None


def page() -> str:
    """Return the page of the book that lists the papers, as Markdown."""
    lines = [
        "# Sources",
        "",
        "The papers that the code and the chapters refer to, and what is from each. Numbers of",
        "sections, equations and figures are those of the version at the address.",
    ]
    for key, paper in PAPERS.items():
        lines += ["", f"## {key}", "", f"[{paper.title}]({paper.link}), {paper.year}.", ""]
        lines += textwrap.wrap(paper.used, 100, break_on_hyphens=False)
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
