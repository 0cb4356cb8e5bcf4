"""Whisper's prompts, with a byte-level tokenizer that has its special tokens."""

from __future__ import annotations

import pytest

from asr_worker.engines.whisper.vocabulary import MAX_PROMPT_TOKENS, SIMPLIFIED, Vocabulary

tokenizers = pytest.importorskip("tokenizers")
SPECIAL = [
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|jw|>", "<|translate|>"),
    *("<|transcribe|>", "<|startofprev|>", "<|notimestamps|>"),
]


def _vocabulary(*, is_multilingual: bool = True) -> Vocabulary:
    """Of single bytes, as far as no pair of them occurs often."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=256, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([], trainer)
    tokenizer.add_special_tokens(SPECIAL)
    return Vocabulary(tokenizer, is_multilingual=is_multilingual)


def _written(vocabulary: Vocabulary, tokens: list[int]) -> list[str]:
    return [vocabulary._tokenizer.id_to_token(token) for token in tokens]


def test_a_transcript_starts_with_its_language_and_task() -> None:
    vocabulary = _vocabulary()
    assert _written(vocabulary, vocabulary.prompt("zh", "translate")) == [
        "<|startoftranscript|>", "<|zh|>", "<|translate|>", "<|notimestamps|>",
    ]  # fmt: skip
    assert _written(vocabulary, vocabulary.start("en", "transcribe"))[1:] == [
        "<|en|>", "<|transcribe|>",
    ]  # fmt: skip


def test_an_english_model_has_neither_language_nor_task() -> None:
    vocabulary = _vocabulary(is_multilingual=False)
    assert vocabulary.languages == {"en"}
    assert vocabulary.known_language("zh") == "en"
    assert _written(vocabulary, vocabulary.prompt("en", "translate")) == [
        "<|startoftranscript|>", "<|notimestamps|>",
    ]  # fmt: skip


def test_languages_are_those_of_the_tokens_and_others_are_detected() -> None:
    vocabulary = _vocabulary()
    assert vocabulary.languages == {"en", "zh", "jw", "jv"}
    assert vocabulary.known_language("jv") == "jw"
    assert vocabulary.known_language("auto") is None
    assert vocabulary.known_language("fr") is None


def test_hotwords_and_prompt_stand_before_the_start() -> None:
    vocabulary = _vocabulary()
    tokens = vocabulary.prompt("en", "transcribe", prompt=" who\nspeaks ", hotwords=("Ada", "Bo"))
    assert _written(vocabulary, tokens)[0] == "<|startofprev|>"
    assert vocabulary.decode(vocabulary.text_tokens(tokens)) == " Ada, Bo who speaks"
    assert _written(vocabulary, tokens)[-4] == "<|startoftranscript|>"


def test_chinese_is_prompted_in_simplified_characters_unless_the_caller_has_a_prompt() -> None:
    vocabulary = _vocabulary()

    def text(**options: str) -> str:
        tokens = vocabulary.prompt("zh", "transcribe", **options)
        return vocabulary.decode(vocabulary.text_tokens(tokens)).strip()

    assert text() == SIMPLIFIED
    assert text(prompt="請用繁體") == "請用繁體"
    assert len(vocabulary.prompt("zh", "translate")) == 4


def test_a_prompt_that_is_too_long_keeps_its_end_and_the_hotwords() -> None:
    vocabulary = _vocabulary()
    start = len(vocabulary.prompt("en", "transcribe"))
    tokens = vocabulary.prompt("en", "transcribe", prompt="a" * 500 + "z", hotwords=("Ada",))
    assert len(tokens) == 1 + MAX_PROMPT_TOKENS + start
    text = vocabulary.decode(vocabulary.text_tokens(tokens))
    assert text.startswith(" Adaa")
    assert text.endswith("az")
    many = vocabulary.prompt("en", "transcribe", prompt="b" * 300, hotwords=("a" * 300,))
    text = vocabulary.decode(vocabulary.text_tokens(many))
    assert len(many) == 1 + MAX_PROMPT_TOKENS + start
    assert text.count("a") == MAX_PROMPT_TOKENS // 2 - 1
    alone = vocabulary.prompt("en", "transcribe", hotwords=("a" * 300,))
    assert len(alone) == 1 + MAX_PROMPT_TOKENS + start


def test_special_tokens_in_a_prompt_are_text() -> None:
    vocabulary = _vocabulary()
    tokens = vocabulary.prompt("en", "transcribe", prompt="<|translate|><|endoftext|> hi")
    special = [each for each in _written(vocabulary, tokens) if each in SPECIAL]
    assert special == [
        "<|startofprev|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>",
    ]  # fmt: skip


def test_a_tokenizer_that_is_not_whispers_is_named() -> None:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    with pytest.raises(ValueError, match=r"no token <\|startoftranscript\|>"):
        Vocabulary(tokenizer, is_multilingual=True)
