"""A language as people write it, read into an ISO 639 code. Pure.

Names are those of Whisper's tokenizer, which OpenAI's contract gives in `verbose_json`.
"""

from __future__ import annotations

import re

AUTO = "auto"
_TAG = re.compile(r"([a-z]{2,3})([-_][a-z0-9]{1,8})*")  # BCP 47: `en`, `en-US`, `zh-Hans-CN`
_NAMES = """
af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian,
bg bulgarian, bn bengali, bo tibetan, br breton, bs bosnian, ca catalan, ca valencian, cs czech,
cy welsh, da danish, de german, el greek, en english, es spanish, es castilian, et estonian,
eu basque, fa persian, fi finnish, fo faroese, fr french, gl galician, gu gujarati, ha hausa,
haw hawaiian, he hebrew, hi hindi, hr croatian, ht haitian creole, ht haitian, hu hungarian,
hy armenian, id indonesian, is icelandic, it italian, ja japanese, jv javanese, jw javanese,
ka georgian, kk kazakh, km khmer, kn kannada, ko korean, la latin, lb luxembourgish,
lb letzeburgesch, ln lingala, lo lao, lt lithuanian, lv latvian, mg malagasy, mi maori,
mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my myanmar,
my burmese, ne nepali, nl dutch, nl flemish, nn nynorsk, no norwegian, oc occitan, pa punjabi,
pa panjabi, pl polish, ps pashto, ps pushto, pt portuguese, ro romanian, ro moldavian, ru russian,
sa sanskrit, sd sindhi, si sinhala, si sinhalese, sk slovak, sl slovenian, sn shona, so somali,
sq albanian, sr serbian, su sundanese, sv swedish, sw swahili, ta tamil, te telugu, tg tajik,
th thai, tk turkmen, tl tagalog, tr turkish, tt tatar, uk ukrainian, ur urdu, uz uzbek,
vi vietnamese, yi yiddish, yo yoruba, yue cantonese, zh chinese, zh mandarin
"""
_CODES = {name: code for code, name in (e.strip().split(" ", 1) for e in _NAMES.split(","))}
# ISO 639-2 and -3 of languages that have a shorter code.
_SHORTER = {
    "ara": "ar", "ces": "cs", "chi": "zh", "cmn": "zh", "cze": "cs", "deu": "de", "dut": "nl",
    "ell": "el", "eng": "en", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de",
    "heb": "he", "hin": "hi", "hun": "hu", "ind": "id", "ita": "it", "jpn": "ja", "kor": "ko",
    "nld": "nl", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "spa": "es", "swe": "sv",
    "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi", "zho": "zh",
}  # fmt: skip


def language_code(text: str) -> str | None:
    """The code for `en`, `EN`, `en-US`, `zh_CN` or `english`; `auto` stays. None for what is none
    of these.
    """
    told = text.strip().lower()
    if told == AUTO or told in _CODES:
        return _CODES.get(told, AUTO)
    tag = _TAG.fullmatch(told)
    if tag is None:
        return None
    if told.startswith(("zh-yue", "zh_yue")):
        return "yue"
    return _SHORTER.get(tag[1], tag[1])
