r"""Dynamic prompts: parts of a prompt that are drawn by lot, from the seed.

    {red|green}           one of these               {3::red|green}      red three times as often
    {|red}                perhaps nothing            {2$$a|b|c}          two of these, as "c, a"
    {1-2$$a|b|c}          one or two                 {2$$ and $$a|b|c}   joined by " and "
    __colour__            a line of colour.txt       {2$$__colour__}     two different lines
    __animals/*__         of any file in animals     \{ \} \| \__ \$    the character itself

The syntax is that of the web UI's extension sd-dynamic-prompts, as far as it goes: variables
(`${…}`) and the samplers `@` and `~` are refused by name. Forms nest, and the lines of a file may
use them.

Why this is not done with that extension's library, `dynamicprompts`: a text that it cannot parse,
such as one with a double underscore in a file name, fails with a trace of pyparsing's; its grammar
drops what follows a `#`; nothing bounds the depth, the number of draws or the length of the
outcome; and it draws with Python's `random`, whose methods have changed what they return between
versions, in an order in which each draw shifts all those after it. Here a seed means the same text
for good, and changing one part of a prompt leaves the other parts' draws as they were.

    grammar.py    text → parts, in one pass
    chance.py     the draw itself, which never changes
    sampling.py   parts → text
    variants.py   the alternatives of a text, one by one
"""

from bot.request.dynamic.chance import VERSION
from bot.request.dynamic.grammar import escaped, is_dynamic, parse
from bot.request.dynamic.sampling import Place, check_wildcards, draw
from bot.request.dynamic.variants import VARIANTS_MAX, variants

__all__ = [
    "VARIANTS_MAX",
    "VERSION",
    "Place",
    "check_wildcards",
    "draw",
    "escaped",
    "is_dynamic",
    "parse",
    "variants",
]
