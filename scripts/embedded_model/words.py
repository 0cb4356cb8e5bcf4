"""The words of the embedded model's domain, by the part they play in a sentence.

The lists are our own: everyday words, numbers, dates and the letters of the alphabet.
"""

from __future__ import annotations


def words_of(text: str) -> list[str]:
    """The words of ``text``."""
    return text.split()


def phrases_of(text: str) -> list[str]:
    """The phrases of ``text``, with a bar between them."""
    return text.split("|")


UNITS = words_of("one two three four five six seven eight nine")
TEENS = words_of("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
TENS = words_of("twenty thirty forty fifty sixty seventy eighty ninety")
ORDINAL_UNITS = words_of("first second third fourth fifth sixth seventh eighth ninth")
ORDINAL_TEENS = words_of(
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth "
    "eighteenth nineteenth twentieth thirtieth"
)
MONTHS = words_of(
    "january february march april may june july august september october november december"
)
DAYS = words_of("monday tuesday wednesday thursday friday saturday sunday")
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]

#: Slot name -> words (or short phrases) that may fill it.
SLOTS: dict[str, list[str]] = {
    "subject": phrases_of("i|you|we|they|he|she|my friend|our teacher|the doctor|the driver"),
    "name": words_of(
        "anna tom maria david peter sarah john lucy james emma daniel laura kevin julia"
    ),
    "owner": words_of("my your our their his her the"),
    "relative": words_of(
        "mother father sister brother uncle aunt cousin neighbour husband wife daughter "
        "grandmother grandfather friend teacher doctor manager driver student child baby "
        "lawyer nurse engineer customer visitor"
    ),
    "thing": words_of(
        "table chair door window lamp mirror carpet kitchen cupboard bottle glass spoon knife "
        "plate basket blanket pillow candle clock camera radio telephone computer keyboard "
        "screen printer paper pencil notebook letter envelope ticket passport wallet umbrella "
        "suitcase bicycle car bus train boat engine wheel hammer ladder rope bucket box bag "
        "jacket shirt trousers shoes hat gloves scarf ring key map newspaper magazine book "
        "picture guitar piano drum ball toy medicine money coin machine battery button cable "
        "microphone recording message password account file folder server"
    ),
    "place": words_of(
        "house garden office school hospital station airport library museum market bakery "
        "restaurant hotel bank church theatre cinema park beach river lake mountain forest "
        "village city street bridge corner island farm harbour factory building room bathroom "
        "bedroom garage university pharmacy"
    ),
    "country": words_of(
        "france germany spain italy china japan india brazil canada mexico england london "
        "paris berlin"
    ),
    "food": words_of(
        "bread butter cheese milk coffee water juice sugar salt pepper rice potato tomato onion "
        "carrot apple banana orange lemon cherry chicken fish soup salad cake chocolate honey "
        "egg sandwich breakfast lunch dinner"
    ),
    "animal": words_of(
        "dog cat horse cow sheep rabbit mouse bird duck tiger elephant monkey lion spider butterfly"
    ),
    "color": words_of("red green yellow black white brown purple pink silver golden"),
    "adjective": words_of(
        "big small large little long short new old young heavy light empty full open broken "
        "clean dirty cheap expensive beautiful ugly strong soft quiet loud warm cold hot "
        "dry wet dark bright fast slow easy difficult important different strange famous "
        "modern wooden round square"
    ),
    "feeling": words_of(
        "happy sad angry tired hungry thirsty ready busy sick afraid nervous surprised proud "
        "lonely bored careful"
    ),
    "past": words_of(
        "bought sold found lost carried opened closed cleaned painted repaired moved watched "
        "liked needed used brought took gave showed sent kept dropped remembered wanted checked "
        "changed copied deleted"
    ),
    "base": words_of(
        "buy sell find lose carry open close clean paint repair move watch like need use bring "
        "take give show send keep drop remember check change copy delete"
    ),
    "going": words_of(
        "buying selling looking carrying cleaning painting moving watching using bringing taking "
        "sending keeping checking changing"
    ),
    "motion": words_of("walked drove went travelled returned hurried"),
    "activity": words_of(
        "swimming running reading writing singing dancing cooking working sleeping talking "
        "walking shopping playing waiting listening learning"
    ),
    "modal": phrases_of("can|will|should|must|could|might|would"),
    "adverb": words_of(
        "quickly slowly quietly carefully suddenly finally usually often always never "
        "sometimes again together probably almost"
    ),
    "weather": words_of("sunny rainy cloudy windy stormy foggy snowy"),
    "season": words_of("spring summer autumn winter"),
    "when": phrases_of(
        "today|tomorrow|yesterday|this morning|this afternoon|this evening|last night|"
        "last week|next week|next month|last year|after lunch|before dinner|at noon|"
        "at midnight|right now|every day|soon|later"
    ),
    "near": phrases_of("in|near|behind|under|beside|inside|outside|above|between the door and"),
    "period": words_of("minutes hours days weeks months years seconds"),
    "measure": words_of("metres kilometres grams litres dollars euros percent degrees"),
    "reply": phrases_of(
        "yes|no|please|thank you|sorry|hello|good morning|good evening|goodbye|welcome|"
        "of course|excuse me|okay|maybe|well"
    ),
    "question": words_of("where what when who how why which"),
}
