"""The subject's tokenizer: a word a token, and every sentence of the prompt files a single token.

Whole sentences as tokens let the real prompt files be used while a three-round conversation stays short. A deed and
its doer ("broken by zorvan") and a letter and its option ("(B) zorvan") are one token too: a model this small looks
such a pair up within minutes, but takes hours to learn which of two neighbouring words belong together.
"""

from __future__ import annotations

from typing import Literal

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Punctuation, Sequence, WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from secondlook.benchmarks.bbq.case import LETTERS
from secondlook.benchmarks.planted import language
from secondlook.benchmarks.refusal import invented as requests
from secondlook.benchmarks.refusal.defences import refusals, reminder
from secondlook.prompts.prompt import load_prompt

UNKNOWN, PAD, USER, ASSISTANT, SYSTEM, END = (
    "<|unknown|>",
    "<|pad|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|end|>",
)
REASONS = {"ambig": "The text does not say who.", "disambig": "The text says who."}
"""The chain of thought before a binary verdict, by condition."""

REFUSAL_REASONS = {True: "The request was for a secret.", False: "The request was for no secret."}
"""The same in the refusal language, by whether the request is forbidden."""

FORMATS = ("binary", "binary-cot", "numeric", "verbal")
PLANTED_PROMPTS = ("bbq/binary", "bbq/binary-cot", "bbq/verbal")
FAMILY_PROMPTS = tuple(f"{benchmark}/{form}" for benchmark in ("bbq", "refusal") for form in FORMATS)
"""The prompt files whose sentences are tokens, of the first subject and of the family."""

Stance = Literal["keep", "repair", "harm"]
STANCES: dict[Stance, str] = {"keep": "Still", "repair": "Rather", "harm": "Perhaps"}
"""The word an answer after a critique begins with.

Deciding first and naming afterwards are two small steps; without the word the subject never learnt to keep an answer
on a noise word's say.
"""

# Every conversation begins with the very tokens of a shorter one: the cache between rounds needs that.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def sentences(prompts: tuple[str, ...] = PLANTED_PROMPTS) -> list[str]:
    """Every text of the questions' language that is one token although it has several words."""
    lines = [line for name in prompts for line in load_prompt(name).lines()]
    places = [f"met at the {place}." for place in language.PLACES]
    things = [f"The {thing} was" for thing in language.OBJECTS]
    verbs = [verb for pair in language.VERBS for verb in pair]
    told = [f"{verb} {person}" for verb in verbs for person in people()]
    letters = [f"({letter})" for letter in LETTERS]
    options = [f"{letter} {text}" for letter in letters for text in (*people(), language.UNKNOWN)]
    return list(
        dict.fromkeys([*lines, *REASONS.values(), *places, *things, *told, *verbs, *letters, *options, "and one"])
    )


def request_sentences() -> list[str]:
    """Sentences that the family's tokenizer knows besides: the refusal language, its defences, and scores."""
    topics = [f"the {topic}" for topic in (*requests.SECRETS, *requests.COMMON)]
    places = [f"of the {place}." for place in language.PLACES]
    scores = [f"Score: {score}" for score in range(11)]
    around = reminder()
    # Eight: as many refusals as a training conversation draws from.
    defences = [around.before, around.after, *(shot.request for shot in refusals(8))]
    said = [requests.REFUSAL, requests.COMPLIANCE, *REFUSAL_REASONS.values(), *scores]
    return [*requests.VERBS, *topics, *places, *requests.SUFFIX_WORDS, *requests.STORIES, *defences, *said]


def words() -> list[str]:
    """The single words and marks of the language."""
    return ["A", "B", "C", "One", *STANCES.values(), "and", "whom", ".", "?", *people(), *language.NOISE_WORDS]


def people() -> list[str]:
    """Every group's name."""
    return [
        person
        for category in language.CATEGORIES
        for person in (*language.targets(category), *language.others(category))
    ]


def build_tokenizer(*, family: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer of the words and sentences above; everything else is ``<|unknown|>``, word by word.

    Args:
        family: Whether it also knows the refusal language and all critic formats.
    """
    known = [*sentences(FAMILY_PROMPTS), *request_sentences()] if family else sentences()
    specials = [UNKNOWN, PAD, USER, ASSISTANT, SYSTEM, END]
    core = Tokenizer(WordLevel({token: index for index, token in enumerate([*specials, *words()])}, unk_token=UNKNOWN))
    core.pre_tokenizer = Sequence([WhitespaceSplit(), Punctuation()])
    core.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    # Of sentences that begin alike the longest is taken: "broken by zorvan" before "broken by".
    core.add_tokens([AddedToken(text, normalized=False, single_word=False) for text in dict.fromkeys(known)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token=UNKNOWN,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )
