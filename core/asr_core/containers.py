"""Which audio is served: the same list for the API's probe and the worker's decoder. Plain data.

Names are FFmpeg's; what is not listed is never opened, whatever a file claims to be.
"""

DEMUXERS = "wav,w64,flac,mp3,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,amr"
DECODERS = ",".join(
    (
        "aac,aac_latm,alac,flac,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,libvorbis",
        "amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,gsm_ms,adpcm_ima_wav,adpcm_ms",
        "pcm_alaw,pcm_mulaw,pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be",
        "pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be",
    )
)
SERVED_DECODERS = frozenset(DECODERS.split(","))
SAMPLE_RATES_HZ = range(1_000, 768_001)
SERVED = "wav, flac, mp3, ogg, webm, matroska, mp4/m4a, aac and amr"


def open_options() -> dict[str, str]:
    """FFmpeg's options for opening a file that nobody trusts.

    They bind what the demuxer opens by itself. PyAV's own decoder heeds none of them: look its name
    up in SERVED_DECODERS before the first packet goes in.
    """
    return {"format_whitelist": DEMUXERS, "codec_whitelist": DECODERS, "protocol_whitelist": "file"}
