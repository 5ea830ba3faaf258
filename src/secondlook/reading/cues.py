"""Cues: the words by which English (and a label of other languages) shows what a sentence does with what it mentions.

Every pattern is matched against a window of lower-case text of bounded length, so that none can cost more than linear
time.
"""

from __future__ import annotations

import re

_SUBJECTS = r"(?:answer|choice|response|selection|option|pick|guess|reply|verdict|assessment|conclusion|assumption|judge?ment|score)"
_PAST = r"(?:said|chose|answered|picked|thought|selected|gave|assumed|went|guessed|looked|seemed|concluded|wrote|had|called|believed|leaned)"
_CHOOSE = (
    r"(?:choose|chose|choosing|pick|picked|picking|select|selected|selecting|go(?:ing)? (?:with|for)|answer|opt for|settle on"
    r"|st(?:ay|ick|and) (?:with|to|by)|keep|maintain|say|mean|believe|think|conclude|refine|revise|change|switch|correct)"
)
_HOW = (
    r"(?:(?:therefore|thus|also|clearly|still|simply|just|likely|probably|most|more|only|indeed|logically|best|very|final|single|actually"
    r"|both|the|my|an?|in fact|currently|definitely) )*"
)
_SEEMS = r"(?:is|was|are|were|would be|seems|appears|looks|remains|stands|sounds)(?: to be)?"

# -- The declared form -------------------------------------------------------------------------------------------------

_LABELS = (
    r"answers?|verdict|conclusion|judge?ment|assessment|choice|option|selection|decision|result|solution|boxed|pick|letter|correct"
    r"|réponse|antwort|respuesta|risposta|resposta|ответ"
)
_FOREIGN = r"答案|答え|正解|正答|정답|답"
_BE = (
    r"(?:is|was|are|would be|should be|must be|should have been|remains|stays|becomes|will be|has to be|ought to be"
    r"|could only be|can only be|est|ist|es|è|é)"
)
_ADVERB = (
    r"(?:still|therefore|thus|simply|clearly|definitely|most|more|likely|probably|now|indeed|obviously|actually|then|that|hence|also"
    r"|again|certainly|really|as follows|the|an?|option|choice|letter|answer|correct|verdict|only|following|one|of|course|it|is|same"
    r"|stays|remains|yes,?|\w+ly)"
)
OPENERS = r"(?:[\"'(\[{<: ]|- )*"
DECLARES = re.compile(
    rf"(?:{_FOREIGN}) ?(?:[是为は]|=)? ?:? ?{OPENERS}$"
    rf"|(?:\b|_)(?:{_LABELS})\b[\"']?(?:"
    rf"(?: (?:to|for|of|in|that|which|here|based|given|from|on|should|stays)\b[^.!?\n:;]{{0,80}}?)?,? {_BE}(?:,? {_ADVERB}){{0,5}},?\s*[:=-]?"
    rf"|(?: \w+)?(?: \([^()\n]{{0,20}}\))?\s*(?:[:=]|is:|—|-)[\s\"'>=]*(?:{_ADVERB} ){{0,3}}"
    rf"|(?<=boxed):?|(?<=answer)(?<!an.answer)[ \n]|(?<=verdict)[ \n])\s*{OPENERS}\s*$",
)
"""Ends right before what is declared: "the correct answer is option (", "Verdict: ", ``"answer": "``."""
NO_LABEL = re.compile(r"options\b|\boption ?$|\b(?:no|an|any|another|each) (?:answer|option|choice|verdict)\b")

# -- How firmly --------------------------------------------------------------------------------------------------------

FINAL = re.compile(
    r"\b(?:final|finally|corrected|correct|right|best|better|revised|updated|new|refined|instead|now|therefore|thus|hence|so|conclusion"
    r"|conclude|overall|rather|should|changed?|stand|stick)\b|boxed:",
)
CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|consequently|accordingly|conclude|concluded|finally|overall|ultimately|instead|rather|in short"
    r"|in summary|in conclusion|to conclude|must be|has to be|leaves|leaving|only option|then|yes)\b"
    rf"|\b(?:i|we) (?:\w+ )?(?:will |would |shall |am |are |have to |must |can only |should )?(?:\w+ )?{_CHOOSE}\b|\bi mean\b"
    rf"|\b(?:it|that|this) (?:is|was|must be|has to be|would be|should be|can only be)(?: \w+ly)? (?:that )?(?:the )?[\"'(\[]*$",
)
FIRM = re.compile(
    rf"\b(?:i|we) (?:\w+ )?(?:will |would |shall |am |have to |must |should |like to |want to )*(?:\w+ )?{_CHOOSE}\b[^.!?\n]{{0,40}}$"
    rf"|(?:answer|verdict|choice|option) {_BE}\b[^.!?\n]{{0,30}}$|\b(?:therefore|thus|hence|instead|so)\b,?[^.!?\n,]{{0,30}}$",
)
"""Words that choose, whatever loose words stand before them in the clause."""
NOT_FIRM = re.compile(
    r"\b(?:might|may|could|whether|if|unless|earlier|previous|previously|initial|initially|originally|first|original|before|tempted"
    r"|stereotyp\w*|for example|e\.g\.|perhaps|maybe|possibly|not|from)\b",
)

# -- What follows a mention --------------------------------------------------------------------------------------------

JUDGED_RIGHT = re.compile(
    rf"^[\"')\]]{{0,3}}(?: [^.!?\n,;:]{{0,30}}?)?[ ,]*\b(?:{_SEEMS}|as) {_HOW}"
    r"(?:correct|right|best|answer|appropriate|accurate|supported|valid|true|reasonable|safest|fairest|choice|option|one|conclusion)\b"
    r"|^[\"')\]]{0,2},? (?:fits|works|it is|is it)\b|^[\"')\]]{0,2} ?[:—-]? ?\(?(?:correct|yes|right)\b|^[\"')\]]{0,2}(?: stands| remains)\b",
)
JUDGED_WRONG = re.compile(
    r"^[\"')\].]{0,3}(?: \([^()\n]{0,40}\))?[: —-]*(?:[^.!?\n;]{0,30}?)\b(?:"
    rf"{_SEEMS} {_HOW}"
    r"(?:wrong|incorrect|false|unsupported|unlikely|stereotyp\w+|biased?|assumptions?|mistaken?|inaccurate|invalid|irrelevant|guess"
    r"|prejudiced?|unfounded|unjustified|inappropriate|ruled out|eliminated|excluded|rejected|based on|out)\b"
    r"|(?:is|was|are|were|does|did|do|cannot|can|could|would|has|should)(?: be)?(?<!cannot)(?<!cannot be) (?:not|never) "
    r"(?:be |an? |the |been |even |necessarily |directly |explicitly |really |seem |appear |to be |clearly |strictly |actually |very )*"
    r"(?:correct|right|best|answer|supported?|mentioned|stated|given|valid|true|option|case|possible|chosen|justified|appropriate"
    r"|accurate|reasonable|follow|fit|evidence|implied|indicated|specified|ruled|determined|known|provided|one|good|proven|described"
    r"|choice|be)\b"
    r"|cannot be\b(?! ruled out)"
    r"|(?:rest|rel|lean|reflect|assume|reinforce|perpetuate|play|come|came|follow)\w*\b[^.!?\n]{0,40}\b(?:stereotyp|bias|assum|prejud|guess|clich)"
    r"|has no (?:support|basis|evidence)|lacks|goes beyond|would (?:\w+ ){0,2}(?:stereotyp|assum|rely|rest|reinforce|perpetuate|imply))"
    r"|^[\"')\]]{0,2} ?[:—-]? ?\(?(?:wrong|incorrect|no\b|not (?:supported|correct|mentioned|stated))",
)
NEGATED = re.compile(
    r"[\"')\]]{0,2} (?:is|was|are|were|does|did|do|has|have|had|will|would|could) (?:\w+ly )?(?:not|never)\b"
)
"""An option of which something is denied: no answer, unless that was asked."""
TWICE_NEGATED = re.compile(NEGATED.pattern + r" (?:\w+ly )?(?:un|in|im|ir|dis|non-?)\w{3,}")
"""The same of a word that denies by itself ("is not unhappy"), which hardly anybody is asked about."""
OPEN_AFTER = re.compile(
    r"^[\"')\]]{0,3},? (?:before|earlier|previously|at first|initially|originally|(?:in )?my (?:first|earlier|previous)"
    r"|because of (?:\w+ ){0,2}(?:stereotyp|bias|prejudice|assumption|guess)\w*|if (?!not\b)|or not\b|might|may|could|can be ruled)\b"
    r"|^[\"')\]]{0,3}(?: \([^()\n]{0,60}\))?,? ?(?:or|/|vs\.?|versus)(?![a-z])|^/(?=[a-z(])",
)

# -- What goes before a mention ----------------------------------------------------------------------------------------

NEGATES = re.compile(
    r"\b(?:not|cannot|neither|nor|never|nobody|no one|none|nothing"
    r"|no (?!longer\b)(?:\w+ ){0,3}?(?:evidence|reason|indication|proof|support|basis|mention|hint|sign|information|suggestion|need|clue|grounds)"
    r"|except|excluding|excludes?|excluded|without"
    r"|unlikely|doubt\w*|rul(?:e|ed|es|ing) out|eliminat\w+|reject\w*|dismiss\w*|discard\w*|avoid\w*|wrong|wrongly|incorrect|incorrectly"
    r"|false|mistaken|mistakenly|too (?:early|soon)|premature|refus\w+|hesitate|far from|unfair|lacks|anyone but"
    r"|anything but|stop short of|unfounded|fail(?:s|ed)? to|contrary to)\b",
)
PREFERS_ANOTHER = re.compile(
    r"\b(?:than|instead of|as opposed to)(?: for| with| to| on)? (?:the |option |choice |answer )*[\"'(\[]*$"
)
"""Right before what is not chosen, whatever is denied before it."""
IDLE = re.compile(
    r"\b(?:no doubt|without (?:a |any )?doubt|not only|no question|why not|not surprisingly|if not|whether or not|nothing else"
    r"|(?:no|none) (?:other |one other )(?:\w+ )?than|no one (?:else )?(?:but|other than)|nobody (?:else )?(?:but|other than)"
    r"|nothing (?:but|other than)|(?:cannot|could not|can not) (?:be|have been) (?:anyone|anything|anybody) (?:else )?(?:but|other than)"
    r"|not (?:wrong|incorrect|just|to mention|doubt|surprising)|no longer|cannot (?:deny|help but)|contrary to (?:the )?stereotypes?)\b",
)
"""Words of denying that deny nothing."""

# What was said before.
_EARLIER = (
    rf"(?:my|your|our|his|her|their|its|the|an?|this) (?:own )?(?:earlier|previous|prior|first|initial|original|former|old|last|past|preceding) (?:\w+ )?{_SUBJECTS}\b"
    rf"|(?:first|initially|originally|previously|earlier|before|formerly)\b,? ?(?:i |we |it |you |my |the )?(?:\w+ )?{_PAST}\b"
    rf"|(?:i|we) (?:had |have )?(?:first|initially|originally|previously|earlier|mistakenly|incorrectly|wrongly|already|just) (?:\w+ )?{_PAST}\b"
    r"|(?:i|we) (?:assumed|had|used to|was tempted|am tempted|guessed|was wrong|jumped)\b|when i\b|from (?:the |option |answer )?[\"'(\[]*$"
)
# What somebody else says, or a prejudice.
_OTHERS = (
    r"(?:some|many|most|few|people|one|someone|somebody|others?|they|he|she|users?|you|readers?|society|anyone|critics?|student|friend"
    r"|teacher|model) (?:\w+ )?(?:might|may|could|would|will|can|should)? ?(?:\w+ )?(?:say|said|says|think|thinks|thought|assume|assumed|assumes"
    r"|suggest|suggested|suggests|argue|argues|argued|believe|believes|believed|claim|claims|claimed|expect|expects|guess|guessed|conclude"
    r"|imply|implied|asked|chose|choose|pick|picked|picks|want|wants|insist|insists|infer|jump|answer|answered|prefer|interpret)\b"
)
_PREJUDICE = (
    r"(?:stereotyp\w*|prejudices?|clich\w+|bias)\b[^.!?\n]{0,60}?\b(?:suggests?|says?|points?|implies|imply|holds?|would|leads?|makes?"
    r"|assumes?|is|to|towards?|that|of|about|against)\b"
    r"|based on (?:\w+ ){0,3}(?:stereotyp\w*|prejudice|bias|assumptions?)\b[^.\n]{0,20}$"
)
# What is supposed, or only possible.
_SUPPOSED = (
    r"(?:if|unless|suppose|supposing|assuming|whether|imagine|even though|although|though|in case|until|depends?|depending|might|may|could"
    r"|possibly|perhaps|maybe|possible|potentially|plausible|(?:risk|chance|danger|possibility) (?:that|of)|would be (?:\w+ ){1,3}to)\b"
    r"|(?<!i )(?<!am )(?<!we )(?<!are )(?:choosing|picking|selecting|saying|answering|concluding|naming|going with|claiming|labell?ing"
    r"|calling|stating|inferring|asserting|suggesting|identifying|attributing)\b"
    r"|(?<!have )(?<!going )(?<!want )(?<!like )(?<!safest )(?<!best )(?<!decided )(?<!led )(?<!forced )to (?:choose|pick|assume|say|answer|conclude"
    r"|select|infer|claim|call|label|guess|attribute|state|determine|know|tell|decide|think|believe|blame)\b"
)
_LEANING = r"(?:assumes?|were|had|tempting|tempted|at first|tends?)\b"
# What is given as an example, or as the form to use.
_EXAMPLE = (
    r"e\.g\.|\bi\.e\.|\bfor (?:example|instance)\b|such as\b|in the form\b|the (?:form|format|phrase|words?|line|string)\b"
    r"|asked (?:for|me|to)\b|(?:reply|answer|respond|end|finish|begin|start) (?:with|by)\b|example\b|either\b"
)
# What is weighed, named, compared.
_WEIGHED = (
    r"(?:between|mentions?|mentioned|names?|describes?|described|compares?|discuss\w*|consider\w*|options? (?:are|were)|choices are"
    r"|choose from|let us|look(?:ing)? at|evaluate|examine|about|like|versus|one of)\b"
)
OPEN = re.compile(rf"\b(?:{'|'.join((_EARLIER, _OTHERS, _PREJUDICE, _SUPPOSED, _LEANING, _EXAMPLE, _WEIGHED))})")
"""Words after which an option is asserted by nobody."""
OPEN_VERDICT = re.compile(rf"\b(?:{'|'.join((_OTHERS, _SUPPOSED, _EXAMPLE))})")
"""The same for a verdict, which is about an earlier answer and about bias."""
PREDICATES = re.compile(
    rf"(?:\b(?:{_SEEMS}|(?:will|must|can only) be|been|it|as|found|deemed|rated|judged?|conclude|say|call|label(?:led|ed)?|hence|therefore|thus|so|yes)\b|[:=])"
    r"(?:[ ,]+(?:\w+ly|an?|still|not|in fact|therefore|thus|indeed|also|the|to be|most|more|very|quite|somewhat|that)\b){0,4}[ ,]*[\"'(\[]*$",
)
"""What goes before a verdict that is stated of something, not used of a noun ("a biased answer")."""
OPEN_SENTENCE = re.compile(
    r"^\W*(?:according to|based on|by|given) (?:\w+ ){0,2}(?:stereotyp\w*|prejudice|you|some|him|her|them)\b|^\W*(?:if|were|had|unless)\b(?=.*\b(?:would|might|could)\b)",
    re.DOTALL,
)
SUPPOSES = re.compile(r"\b(?:if|whether|why|assum\w+|suppos\w+|imagine|had|were|let us)\b")
"""Before "(A) is right", what makes it a supposition."""
DECLINES = re.compile(r"\b(?:i|we) $")
DECLINED = re.compile(r" (?:that|this|it|you)\b")
"""Before and after "cannot answer", what makes it a refusal and no answer."""
BACKGROUND = re.compile(r"^\W*(?:because|since|as|while|whereas|although|when|after|even though)\b")
"""What begins a clause that gives the reason or the background; what it mentions in passing is no answer."""
QUOTED = re.compile(r"^[\"'] ?(?:is|are|was|means?|refers|implies|would|indicates|can|may|as|in)\b|^ to \w")
"""After a verdict that is spoken of, not given: in quotes, or of an infinitive ("biased to assume")."""
OR_BEFORE = re.compile(r"(?:\bor|(?<=\w)/|(?<=\))/| /) ?(?:the |option |choice )?[\"'(\[]*$")

# -- Sentences about the mention before them ---------------------------------------------------------------------------

_BEGIN = r"(?:^|(?<=[.!?\n:] )|(?<=[—-] )|(?<=\n))"
_THIS = r"(?:this|that|it|which)(?: option| answer| choice| statement| one)?"
SAYS_RIGHT = re.compile(
    rf"{_BEGIN}(?:so |therefore,? |thus,? )?{_THIS} {_SEEMS} {_HOW}(?:correct|right|answer|appropriate|accurate|only correct|safest)\b",
    re.MULTILINE,
)
SAYS_WRONG = re.compile(
    rf"{_BEGIN}{_THIS} {_SEEMS} {_HOW}(?:incorrect|wrong|not {_HOW}(?:correct|right|supported|mentioned|answer)|unsupported|stereotype)",
    re.MULTILINE,
)
TAKES_BACK = re.compile(
    r"(?:^|(?<=[.!?\n] )|(?<=\n)|(?<=[,;—] ))(?:oh,? |but,? |hmm,? |ah,? )?(?:wait\b|no[,.!:;—](?! \d)|actually\b|correction\b|scratch that"
    r"|on second thought|on reflection|upon (?:further )?(?:reflection|review)|oops\b|i mean\b|i was wrong|i made a mistake"
    r"|i (?:must |have to |should |need to )?(?:correct|retract|take (?:that|it) back|withdraw)"
    r"|let me (?:correct|reconsider|rethink|re-?evaluate|fix|revise|take)"
    rf"|{_THIS} (?:is|was) (?:wrong|incorrect|a mistake|not (?:correct|right))"
    rf"|(?:that|this|my|the) (?:earlier |previous |first |initial )?{_SUBJECTS} (?:is|was) (?:wrong|incorrect|a mistake|not (?:correct|right)|based on|biased|a stereotype))",
    re.MULTILINE,
)
GOES_THROUGH = re.compile(
    r"\b(?:go through|look at|consider|examine|evaluate|analy[sz]e|review|break down)\b[^.!?\n]{0,40}\b(?:options?|choices|answers?|each|them)\b",
)

# -- Where sentences and clauses end -----------------------------------------------------------------------------------

SENTENCE = re.compile(
    r"(?:\.(?<!^[a-z]\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bmr\.)(?<!\bmrs\.)(?<!\bdr\.)|[!?])[.!?]*[\"')\]]*(?=\s|$)|\n+",
    re.MULTILINE,
)
CLAUSE = re.compile(
    r"[;—]|: |\.\.\. ?|, (?:but|so|and so|because|since|as|while|which|therefore|thus|hence|then|however|instead|rather|it|this|that is|we|i"
    r"|actually|he|she|yet|making|meaning|leaving|the (?:answer|text|correct|verdict|reply|response)|and (?:it|the|this|so|therefore|thus|i|we))\b"
    r"|[ ,]\b(?:but|because|since|therefore|thus|hence|so|however|whereas)\b",
)
