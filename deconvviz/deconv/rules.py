"""The three rules for the backward pass through an activation.

They agree on every linear operation. For ReLU they are, in turn,
Zeiler & Fergus (2014, arXiv:1311.2901), Springenberg et al. (2015, arXiv:1412.6806) and the plain
gradient (Simonyan et al. 2014, arXiv:1312.6034).
"""

from typing import Literal, get_args

Rule = Literal["deconvnet", "guided", "gradient"]
RULES: tuple[Rule, ...] = get_args(Rule)
