"""
Formulas as MathML, which browsers draw themselves: no script, and nothing to fetch.

The translation from LaTeX is that of docutils. A formula which it cannot translate is a warning with the place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

if TYPE_CHECKING:
    from sphinx.application import Sphinx

logger = logging.getLogger(__name__)

#: Commands that docutils knows under another name only.
SYNONYMS = {r"\dots": r"\ldots", r"\big": r"\bigl", r"\Big": r"\Bigl", r"\bigg": r"\biggl", r"\Bigg": r"\Biggl"}
COMMAND = re.compile("|".join(rf"{re.escape(name)}(?![A-Za-z])" for name in SYNONYMS))


def translate(node: nodes.Element, *, as_block: bool) -> str:
    """MathML of a formula; its LaTeX, and a warning, if that cannot be translated."""
    latex = COMMAND.sub(lambda command: SYNONYMS[command[0]], node.astext()).strip()
    try:
        return tex2mathml(latex, as_block=as_block)
    except MathError as error:
        logger.warning("formula %r: %s", latex, error, location=node)
        return f"<code>{nodes.Text(latex).astext()}</code>"


def inline(translator: Any, node: nodes.math) -> None:
    """A formula in a line of text."""
    translator.body.append(translate(node, as_block=False))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """A formula on lines of its own."""
    # On a telephone it is wider than the page and scrolls, which the keyboard can do once it is there.
    translator.body.append(translator.starttag(node, "div", CLASS="math", tabindex="0"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})</span>')
    translator.body.append(f"{translate(node, as_block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name that ``html_math_renderer`` chooses it by."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
