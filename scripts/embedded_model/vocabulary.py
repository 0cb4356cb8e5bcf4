"""The closed domain of the embedded model: its words and the grammar that makes sentences.

Every sentence is a list of lower-case words drawn from :func:`vocabulary`. The text is
our own: templates with slots, nested phrases and plain word lists, so that the model has
to recognise words and cannot learn sentences by heart. Numbers, dates, times of day and
spelled letters are written as words (``"twenty one"``, ``"b"``).
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable

from words import (
    DAYS,
    LETTERS,
    MONTHS,
    ORDINAL_TEENS,
    ORDINAL_UNITS,
    SLOTS,
    TEENS,
    TENS,
    UNITS,
    words_of,
)

#: Templates; ``{slot}`` draws a word of :data:`SLOTS`, ``{@name}`` calls a phrase maker.
TEMPLATES: list[str] = [
    "{subject} {past} {@np}",
    "{name} {past} {@np} {when}",
    "{name} and {name} {past} {@np} {@where}",
    "{subject} {adverb} {past} {@np} {@where}",
    "{subject} {modal} {base} {@np} {when}",
    "{subject} {modal} not {base} {@np}",
    "{subject} {modal} {base} {@np} and {@np}",
    "please {base} {@np} {@where}",
    "do not {base} {@np}",
    "did {name} {base} {@np} {when}",
    "does {name} like {activity} or {activity}",
    "are you {going} {@np}",
    "{name} is {going} {@np} {@where}",
    "{@np} is {@where}",
    "{@np} was very {adjective}",
    "there is {@anp} {@where}",
    "there are {@count} {color} {animal} pictures {@where}",
    "{owner} {relative} was {activity} {@where}",
    "{owner} {relative} {past} {@np} because it was {adjective}",
    "{owner} {relative} is {feeling} and {feeling}",
    "{name} looked {feeling} {when}",
    "{name} {motion} from {country} to {country} {when}",
    "{subject} {motion} to the {place} with {owner} {relative}",
    "the {animal} {motion} {adverb} to the {place}",
    "the {color} {animal} and the {adjective} {animal} are in the {place}",
    "{subject} would like some {food} and {food}",
    "we need {@count} {measure} of {food}",
    "the {food} costs {@number} dollars and {@number} cents",
    "{name} eats {food} with {food} in the {season}",
    "the weather in {country} was {weather} {when}",
    "it will be {weather} and {adjective} on {day}",
    "it is {@number} degrees in {country} {when}",
    "the meeting is on {day} the {@ordinal} of {month}",
    "{name} was born on {month} the {@ordinal} {@year}",
    "today is {day} {month} {@ordinal}",
    "the {place} opens at {@time}",
    "wake me at {@time} on {day}",
    "the train to {country} leaves at {@time} from platform {@number}",
    "{owner} telephone number is {@digits}",
    "call {@digits} after {@time}",
    "the total is {@number} point {digit} {measure}",
    "{@number} plus {@number} is {@number}",
    "{@number} minus {@number} equals {@number}",
    "the {@ordinal} {thing} is {color}",
    "turn left at the {@ordinal} {place}",
    "wait {@number} {period} and then turn right",
    "it took {@count} {period} to {base} the {thing}",
    "the code is {@letters}",
    "please spell {@letters}",
    "{owner} name is spelled {@letters}",
    "the letters {@letters} and the numbers {@digits}",
    "room {@letters} {@digits} is {adjective}",
    "{question} is {@np}",
    "{question} did {name} {base} the {thing}",
    "{reply} {name} {@np} is {adjective}",
    "{reply} {subject} {past} it {when}",
    "if it is {weather} {subject} {modal} stay at home",
    "{name} said that {@np} was {@where}",
    "start the {thing} and stop the {thing}",
    "{subject} {past} the {thing} but not the {thing}",
    "half of the {food} was {adjective} and a quarter was {color}",
    "both the {relative} and the {relative} were {feeling}",
    "{when} {name} {past} {@np}",
    "{name} has {@count} {adjective} {animal} toys and {@anp}",
    "the whole world has many {adjective} people",
    "speak {adverb} into the microphone",
    "the test recording has {@count} words",
    "{@letterlist}",
    "{@letterlist}",
    "{@digits}",
    "{@number}",
]

#: Share of the sentences that are free word lists (no grammar to lean on).
LIST_SHARE = 0.3

#: Words that sound like another word of the domain: left out of the free word lists,
#: where no context could tell the two apart.
HOMOPHONES = frozenset(words_of("to two for four i a")) | frozenset(LETTERS) | {"you", "are", "why"}


def _under_hundred(rng: random.Random) -> str:
    value = rng.randrange(1, 100)
    if value < 10:
        return UNITS[value - 1]
    if value < 20:
        return TEENS[value - 10]
    tens = TENS[value // 10 - 2]
    return tens if value % 10 == 0 else f"{tens} {UNITS[value % 10 - 1]}"


def _number(rng: random.Random) -> str:
    kind = rng.random()
    small = _under_hundred(rng)
    if kind < 0.55:
        return small
    if kind < 0.75:
        return f"{rng.choice(UNITS)} hundred and {small}"
    if kind < 0.83:
        return f"{rng.choice(UNITS)} hundred"
    if kind < 0.95:
        return f"{small} thousand {rng.choice(UNITS)} hundred"
    return f"{small} million"


def _ordinal(rng: random.Random) -> str:
    value = rng.randrange(3)
    if value == 0:
        return rng.choice(ORDINAL_UNITS)
    if value == 1:
        return rng.choice(ORDINAL_TEENS)
    return f"twenty {rng.choice(ORDINAL_UNITS)}"


def _year(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return f"two thousand and {rng.choice(UNITS + TEENS)}"
    return f"{rng.choice(['nineteen', 'twenty', 'eighteen'])} {rng.choice(TEENS + TENS)}"


def _time(rng: random.Random) -> str:
    hour = rng.choice([*UNITS, "ten", "eleven", "twelve"])
    forms = [
        f"{hour} o'clock",
        f"half past {hour}",
        f"a quarter to {hour}",
        f"{hour} thirty",
        f"{rng.choice([*TEENS, 'twenty'])} minutes past {hour}",
    ]
    return rng.choice(forms)


def _digits(rng: random.Random) -> str:
    return " ".join(rng.choice(["zero", *UNITS]) for _ in range(rng.randrange(3, 7)))


def _letters(rng: random.Random) -> str:
    return " ".join(rng.choice(LETTERS).upper() for _ in range(rng.randrange(2, 6)))


def _letterlist(rng: random.Random) -> str:
    return rng.choice(["letters", "spell", "code"]) + " " + _letters(rng)


def _noun_phrase(rng: random.Random) -> str:
    noun = rng.choice(SLOTS[rng.choice(["thing", "thing", "thing", "animal", "food", "place"])])
    head = rng.choice([*SLOTS["owner"], "the", "the", "this", "that", "another", "every"])
    middle = rng.choice(
        [[], [], SLOTS["adjective"], SLOTS["adjective"], SLOTS["color"]]  # half of them bare
    )
    return " ".join([head, *([rng.choice(middle)] if middle else []), noun])


def _indefinite(rng: random.Random) -> str:
    adjective = rng.choice([w for w in SLOTS["adjective"] + SLOTS["color"] if w[0] not in "aeiou"])
    return f"a {adjective} {rng.choice(SLOTS[rng.choice(['thing', 'animal', 'place'])])}"


def _where(rng: random.Random) -> str:
    return f"{rng.choice(SLOTS['near'])} the {rng.choice(SLOTS[rng.choice(['place', 'thing'])])}"


def _word_list(rng: random.Random) -> str:
    return " ".join(rng.choices(_LISTED, _LISTED_WEIGHTS, k=rng.randrange(3, 8)))


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "number": _number,
    "count": _under_hundred,
    "ordinal": _ordinal,
    "year": _year,
    "time": _time,
    "digits": _digits,
    "letters": _letters,
    "letterlist": _letterlist,
    "np": _noun_phrase,
    "anp": _indefinite,
    "where": _where,
}


def vocabulary() -> list[str]:
    """All words of the domain, sorted; each is one output token of the model."""
    words = set(UNITS + TEENS + TENS + ORDINAL_UNITS + ORDINAL_TEENS)
    words |= set(MONTHS) | set(DAYS) | set(LETTERS)
    words |= set(words_of("zero hundred thousand million and o'clock half past quarter to minutes"))
    words |= set(words_of("this that another every letters spell code"))
    for choices in SLOTS.values():
        words |= {word for choice in choices for word in choice.split()}
    for template in TEMPLATES:
        words |= set(re.sub(r"\{[^}]*\}", " ", template).split())
    return sorted(words)


_LISTED = [word for word in vocabulary() if word not in HOMOPHONES]
_RARE = set(ORDINAL_TEENS) | {
    word
    for slot in ("activity", "going", "adverb", "reply", "relative", "weather", "measure")
    for choice in SLOTS[slot]
    for word in choice.split()
}
_LISTED_WEIGHTS = [2.5 if word in _RARE else 1.0 for word in _LISTED]


def sentence(rng: random.Random) -> str:
    """One random sentence of the domain: words separated by single spaces.

    The words are lower case but for spelled letters, which are upper case so that the
    speaker can tell the letter ``A`` from the article; lower the text to get its words.
    """

    def fill(match: re.Match[str]) -> str:
        slot = match.group(1)
        if slot.startswith("@"):
            return MAKERS[slot[1:]](rng)
        named = {"day": DAYS, "month": MONTHS, "digit": UNITS}
        return rng.choice(named.get(slot) or SLOTS[slot])

    if rng.random() < LIST_SHARE:
        return _word_list(rng)
    return re.sub(r"\{([^}]*)\}", fill, rng.choice(TEMPLATES))


def sentences(count: int, seed: int, exclude: frozenset[str] = frozenset()) -> list[str]:
    """``count`` different sentences for ``seed``, none of them in ``exclude``."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        text = sentence(rng)
        if text not in exclude:
            found.setdefault(text)
    return list(found)


def main() -> None:
    """Print the size of the domain and a few sentences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="sentences to print")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sentences")
    options = parser.parse_args()
    print(f"{len(vocabulary())} words")
    print("\n".join(sentences(options.count, options.seed)))


if __name__ == "__main__":
    main()
