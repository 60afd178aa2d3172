"""Words of inspection prompts, for the tiny model's tokenizer: what is one token there."""

from __future__ import annotations

from core.mmad.prompts import ANSWER_PLAINLY, ANSWER_THINKING, SYSTEM

SENTENCES = [
    SYSTEM,
    ANSWER_PLAINLY,
    ANSWER_THINKING,
    "Normal reference of the same product: Normal references: Query picture: Query product, in words:",
    "What is known about this product:",
    "Is there any defect in the object? Yes. No.",
    "There is a defect in the object. What is the type of the defect?",
    "There is a defect in the object. Where is the defect?",
    "There is a defect in the object. What is the appearance of the defect?",
    "There is a defect in the object. What is the effect of the defect?",
    "What kind of product is in the image? What is the type of the object?",
    "What is the structure of the object? What is the function of this part?",
    "The difference between the query and the normal reference:",
]

_LISTED = """
user assistant system A. B. C. D. A B C D A: B: C: D: Title: Description: good normal anomaly anomalous defect defects
defective product products object objects part parts component components image picture query reference region area
surface edge corner middle centre center top bottom left right upper lower side rim border inside outside near beside
between around above below along across over under whole half
bent broken burnt burr bubble chip chipped colour color contamination copper corroded corrosion crack cracked cut damage
damaged deformation deformed dent dented dirt discoloured distorted dust excess fibre fold foreign fray glue gouge
hole impurity incomplete loose mark melted misaligned misplaced missing mould mousebite open oil pin-hole pinhole pit print
punched rotated rough rust scratch scratched short shifted smear spot spur squeezed stain stained swap swapped tear thread
torn twisted uneven wear weak weld wrinkle wrong
blob bottle board bolt cable can capsule candle cap carpet chip circuit cloth connector disc fabric fuse gear grid hazelnut
label lamp leather lid metal nut pcb pill pipe plate plug ring screw seal spring switch tile toothbrush transistor tube
washer wheel wire wood zipper steel plastic rubber glass ceramic paper
red green blue yellow orange purple brown black white grey gray dark bright pale light shiny matt dull transparent
round square oval long short thin thick wide narrow small large big tiny deep shallow straight curved jagged smooth
irregular regular uniform even flat raised sunken vertical horizontal diagonal parallel symmetric clear sharp soft faint
one two three four five six seven eight nine ten first second third last several many few single double both none all any
every each same other different similar more less most least about only also often always never
is are was be been has have had do does did can could may might will would should must not no yes and or but if then than
because so that this these those there here where when which what who how why it its they their them he she we you your
in on at by to of for from with without into onto through as like the a an
look looks looking see shows shown show seen visible appear appears found lies lie lacks lack differs differ compare
compared comparison difference match matches matching fits fit touches extends runs covers contains covering caused
cause causes effect effects affect affects may lead leads reduce reduces function functions work works use used strength
leak leakage contact contacts current electrical mechanical appearance shape size texture pattern place position location
type kind name number amount level line lines layer layers track tracks pad pads hole holes leg legs slot slots stripe
stripes band bands body head tip end ends shaft teeth tooth blade handle window dot dots letter letters text
think reason answer option letter question therefore since first next finally picture compared with the reference
product's none. other. top-left top-right bottom-left bottom-right
"""
WORDS = _LISTED.split()
