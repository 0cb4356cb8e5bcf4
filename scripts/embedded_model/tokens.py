"""The output tokens of the embedded model and their sentencepiece model.

Every word of the domain is one piece; the tags are those that SenseVoiceSmall writes.
Normalisation rules in the sentencepiece model make decoding and encoding meet: ids decode
to ``<|en|><|NEUTRAL|><|Speech|><|woitn|>the words`` (no space after the tags), and that
text encodes to four tags, a lone ``"▁"`` and one piece for each word, which is what FunASR's
forced alignment for time stamps expects.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2
from vocabulary import vocabulary

SPACE = "\u2581"
#: The first three ids are those of every sentencepiece model; 0 is the CTC blank.
SPECIAL = ["<unk>", "<s>", "</s>"]
LANGUAGES = ["<|en|>", "<|nospeech|>"]
EMOTIONS = ["<|NEUTRAL|>", "<|EMO_UNKNOWN|>"]
EVENTS = ["<|Speech|>", "<|Event_UNK|>"]
TEXT_NORMS = ["<|withitn|>", "<|woitn|>"]
BLANK_ID = 0


def pieces() -> list[str]:
    """All pieces in the order of their ids."""
    tags = [*LANGUAGES, *EMOTIONS, *EVENTS, *TEXT_NORMS]
    return [*SPECIAL, *tags, SPACE, *(SPACE + word for word in vocabulary())]


PIECE_IDS = {piece: number for number, piece in enumerate(pieces())}


def word_ids(text: str) -> list[int]:
    """Ids of the words of ``text`` (any case)."""
    return [PIECE_IDS[SPACE + word] for word in text.lower().split()]


def tag_ids(spoken: bool, itn: bool) -> list[int]:
    """Ids of the four tags in the order of the model's first four outputs."""
    index = 0 if spoken else 1
    norm = TEXT_NORMS[0 if itn else 1]
    return [PIECE_IDS[tag] for tag in (LANGUAGES[index], EMOTIONS[index], EVENTS[index], norm)]


def _rule(source: str, target: str) -> str:
    return "\t".join(" ".join(f"{ord(char):X}" for char in text) for text in (source, target))


def sentencepiece_model() -> bytes:
    """The serialised sentencepiece model with :func:`pieces`."""
    with tempfile.TemporaryDirectory() as folder:
        encode, decode = Path(folder, "encode.tsv"), Path(folder, "decode.tsv")
        encode.write_text("".join(_rule(tag, tag + "  ") + "\n" for tag in TEXT_NORMS))
        decode.write_text("".join(_rule(tag + " ", tag) + "\n" for tag in TEXT_NORMS))
        trained = io.BytesIO()
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(["any text will do"] * 10),
            model_writer=trained,
            vocab_size=20,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(encode),
            denormalization_rule_tsv=str(decode),
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            minloglevel=2,
        )
    schema: Any = sentencepiece_model_pb2  # generated code, without types
    model = schema.ModelProto()
    model.ParseFromString(trained.getvalue())
    del model.pieces[len(SPECIAL) :]
    for piece in pieces()[len(SPECIAL) :]:
        model.pieces.add(piece=piece, score=-1.0, type=schema.ModelProto.SentencePiece.NORMAL)
    # What the trainer was given is of no use to a reader, and names its temporary files.
    model.trainer_spec.ClearField("input")
    model.trainer_spec.vocab_size = len(model.pieces)
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    model.denormalizer_spec.ClearField("normalization_rule_tsv")
    return bytes(model.SerializeToString())
