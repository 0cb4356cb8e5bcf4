"""Which models of FunASR's registry recognise files, and what is to be said of the others. Pure.

Source: `funasr.register` of FunASR 1.4.16; a test compares the names with the installed one. A name
that stands nowhere here is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PARAFORMER: Final = "paraformer-zh"
# What they hear comes piece by piece, with state between the pieces.
STREAMING: Final[Mapping[str, str]] = {"ParaformerStreaming": _PARAFORMER, "SCAMA": _PARAFORMER}
# Transformers runs Python from their folder, whatever the caller of FunASR says.
OWN_CODE: Final = frozenset({
    "GLMASR", "zai-org/GLM-ASR-Nano-2512", "ZhipuAI/GLM-ASR-Nano-2512",
    "MOSS-Transcribe-Diarize", "OpenMOSS-Team/MOSS-Transcribe-Diarize",
    "Qwen-Audio", "QwenAudio", "Qwen/Qwen-Audio", "Qwen/QwenAudio", "QwenAudioWarp",
    "Qwen-Audio-Chat", "QwenAudioChat", "Qwen/Qwen-Audio-Chat", "Qwen/QwenAudioChat",
    "QwenAudioChatWarp",
})  # fmt: skip
_KEYWORDS: Final = "looks for keywords"
_SPEAKERS: Final = "tells speakers apart: ASR_SPEAKER_MODEL is for it"
_PUNCTUATION: Final = "punctuates texts: ASR_PUNC_MODEL is for it"
_VOICE: Final = "finds speech: ASR_VAD_MODEL is for it"
OTHER_PURPOSE: Final[Mapping[str, str]] = {
    "CTTransformer": _PUNCTUATION,
    "CTTransformerStreaming": _PUNCTUATION,
    "FsmnVADStreaming": _VOICE,
    "SileroVad": _VOICE,
    "CAMPPlus": _SPEAKERS,
    "ERes2NetV2": "tells speakers apart, and only CAM++ is served: ASR_SPEAKER_MODEL",
    "iic/speech_eres2netv2_sv_zh-cn_16k-common": "tells speakers apart, and only CAM++ is served: "
    "ASR_SPEAKER_MODEL",
    "Emotion2vec": "hears emotions and no words",
    "MonotonicAligner": "aligns words that are known",
    "OpenAIWhisperLIDModel": "hears which language it is, and no words",
    **dict.fromkeys(
        ("FsmnKWS", "FsmnKWSConvert", "FsmnKWSMT", "FsmnKWSMTConvert", "SanmKWS",
         "SanmKWSStreaming"),
        _KEYWORDS,
    ),
}  # fmt: skip
RECOGNISERS: Final = frozenset({
    "BAT", "BiCifParaformer", "Branchformer", "CTC", "Conformer", "ContextualParaformer",
    "EBranchformer", "EParaformer", "FunASRNano", "LCBNet", "LLMASR", "LLMASR2", "LLMASR3",
    "LLMASR4", "LLMASRNAR", "LLMASRNARPrompt", "OpenAIWhisperModel", "Paraformer",
    "Paraformer_v2_community", "Qwen/Qwen3-ASR-0.6B", "Qwen/Qwen3-ASR-1.7B", "Qwen3ASR", "SANM",
    "SeacoParaformer", "SenseVoiceSmall", "Transducer", "Transformer", "UniASR", "Whisper-base",
    "Whisper-base.en", "Whisper-large-v1", "Whisper-large-v2", "Whisper-large-v3",
    "Whisper-large-v3-turbo", "Whisper-medium", "Whisper-medium.en", "Whisper-small",
    "Whisper-small.en", "Whisper-tiny", "Whisper-tiny.en", "WhisperWarp",
})  # fmt: skip
# `model_type` of a `config.json` as Hugging Face writes it, where FunASR has a class for it.
HUGGING_FACE: Final[Mapping[str, str]] = {
    "qwen3_asr": "Qwen3ASR",
    "glmasr": "GLMASR",
    "moss_transcribe_diarize": "MOSS-Transcribe-Diarize",
    "qwen": "Qwen-Audio",
}


def refusal_of(architecture: str, *, trusted: bool) -> str:
    """Why a model of this class is not served; empty if it is. `trusted`: its own code may run."""
    if architecture in STREAMING:
        instead = STREAMING[architecture]
        return f"{architecture} hears a stream piece by piece, not files: use {instead}"
    if architecture in OTHER_PURPOSE:
        return f"{architecture} {OTHER_PURPOSE[architecture]}"
    if architecture in OWN_CODE and not trusted:
        return (
            f"{architecture} runs Python from its folder: ASR_TRUST_REMOTE_CODE=true allows that, "
            "with this worker's rights; a server such as vLLM, with engine remote, does without"
        )
    return ""
