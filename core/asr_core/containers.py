"""Supported audio formats: one list for the API's probe and the worker's decoder. Plain data.

Names are FFmpeg's; anything not listed is never opened, whatever a file claims to be. None of these
demuxers opens other files or the network, as playlists do, and no images are decoded.
"""

DEMUXERS = ",".join(
    (
        "wav,w64,flac,mp3,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,amr",
        "aiff,caf,au,asf,mpegts,mpeg,avi,flv,ac3,eac3,wv",
    )
)
DECODERS = ",".join(
    (
        "aac,aac_latm,alac,flac,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,libvorbis",
        "amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,gsm,gsm_ms,speex,libspeex,nellymoser",
        "ac3,eac3,wmav1,wmav2,wmapro,wmavoice,wmalossless,wavpack",
        "adpcm_ima_wav,adpcm_ima_qt,adpcm_ms,adpcm_swf",
        "pcm_alaw,pcm_mulaw,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be",
        "pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_dvd,pcm_bluray,s302m",
    )
)
SERVED_DECODERS = frozenset(DECODERS.split(","))
# Up to what masters (DXD) and bat detectors use. FLAC's header goes to 1,048,575 Hz (RFC 9639),
# where a few hundred bytes hold a second that costs more to resample than any speech.
SAMPLE_RATES_HZ = range(1_000, 384_001)
SERVED = (
    "wav, flac, mp3, ogg (opus, vorbis, speex), webm, matroska, mp4/m4a, aac, amr, aiff, caf, au, "
    "wma/asf, mpeg-ts, mpeg-ps, avi, flv, ac3/e-ac3 and wavpack"
)


def open_options() -> dict[str, str]:
    """FFmpeg's options for opening an untrusted file.

    They restrict what the demuxer opens. PyAV's decoder ignores them: check its name against
    SERVED_DECODERS before decoding the first packet.
    """
    return {"format_whitelist": DEMUXERS, "codec_whitelist": DECODERS, "protocol_whitelist": "file"}
