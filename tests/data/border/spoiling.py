"""Hypothesis strategies that spoil what stands in an annotation file, and how many examples are tried."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: BORDER_EXAMPLES=5000 looks longer.
EXAMPLES = int(os.environ.get('BORDER_EXAMPLES', '200'))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize='BORDER_EXAMPLES' not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

_NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 0.5, 1e9, 1e300, -1e300, 10**30, 10**400, 2**31, 2**63, math.nan, math.inf, -math.inf]),
    st.integers(-100, 100),
    st.floats(-200, 200),
)
_TEXTS = st.sampled_from(
    ['', ' ', '7', '7.5', 'NaN', 'a.png', '../a.png', '/etc/passwd', 'file:///a.png', '\x00', '\ud800', 'A.PNG',
     'x' * 300, 'http://[', '..', '1_0', "b'0'", '0' * 50, 'sub\\b.png', '%2e%2e/a.png', 'PPYo1', '\u0661']
)  # fmt: skip
_LEAVES = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS)
_VALUES = st.one_of(
    _LEAVES,
    st.lists(_NUMBERS, max_size=9),
    st.lists(st.lists(_NUMBERS, max_size=9), max_size=4),
    st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=3)),
    st.fixed_dictionaries({'size': st.lists(_NUMBERS, max_size=3), 'counts': st.lists(_NUMBERS, max_size=5) | _TEXTS}),
)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in [(node, key), *_places(node[key])]]


@st.composite
def spoilt(draw: st.DrawFn, make: Callable[[], Any]) -> Any:
    """What ``make`` makes, after some changes, each made with its structure in mind."""
    spoilt = copy.deepcopy(make())
    for _ in range(draw(st.integers(1, 8))):
        places = _places(spoilt)
        container, key = places[draw(st.integers(0, len(places) - 1))] if places else (spoilt, 'images')
        kind = draw(st.sampled_from(['replace', 'replace', 'delete', 'double', 'shuffle', 'scale']))
        if kind == 'replace' or not places:
            container[key] = draw(_VALUES)
        elif kind == 'delete':
            del container[key]
        elif kind == 'double' and isinstance(container, list):
            container.insert(draw(st.integers(0, len(container))), copy.deepcopy(container[key]))
        elif kind == 'shuffle' and isinstance(container, list):
            container[:] = draw(st.permutations(container))
        elif kind == 'scale' and type(container[key]) in (int, float) and abs(container[key]) < 1e300:
            container[key] *= draw(st.sampled_from([-1, 0.01, 3, 1e6, 1e308]))
    return spoilt
