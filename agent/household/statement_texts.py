"""The words of the statement in the household's language. Data alone; statement_page.py prints them."""

from __future__ import annotations

LANGUAGES = ("fr", "nl", "de", "en", "ar")
RIGHT_TO_LEFT = frozenset({"ar"})

_NAMES = (
    "title", "so_far", "period", "used", "of", "allowance", "topups", "forgiven",
    "own", "exempt", "operator", "more", "less",
    "followed", "shown", "days", "told", "warning", "throttled", "restored", "nothing", "gaps", "restart", "refused",
    "no_gaps", "at_most", "billed", "device", "software", "seal", "decimal", "gigabytes",
)  # fmt: skip

_WORDS: dict[str, tuple[str, ...]] = {
    "fr": (
        "Relevé de votre connexion Internet", "mois en cours, provisoire", "Période", "Utilisé", "sur",
        "Volume du mois", "Volume ajouté", "Utilisé au ralenti avant cet ajout, non décompté",
        "Compté par votre modem", "dont non décompté", "Compté par l'opérateur",
        "de plus", "de moins", "cette différence est prise en compte", "pour information, rien n'en dépend",
        "Par jour (Go)", "Ce qui vous a été signalé", "avertissement à", "ligne ralentie", "pleine vitesse rendue",
        "rien", "Ce qui n'a pas pu être compté", "redémarrages", "relevés refusés, impossibles sur cette ligne",
        "rien", "au plus", "Rien n'a été facturé pour ce volume.", "Appareil", "Logiciel", "Sceau", ",", "Go",
    ),
    "nl": (
        "Overzicht van uw internetlijn", "lopende maand, voorlopig", "Periode", "Verbruikt", "van",
        "Maandvolume", "Toegevoegd volume", "Traag verbruikt voor die toevoeging, telt niet",
        "Geteld door uw modem", "waarvan niet aangerekend",
        "Geteld door de operator", "meer", "minder", "dit verschil telt mee", "ter informatie, er hangt niets van af",
        "Per dag (GB)", "Wat u gemeld is", "waarschuwing bij", "lijn vertraagd", "weer op volle snelheid",
        "niets", "Wat niet geteld kon worden", "herstarts", "geweigerde metingen, onmogelijk op deze lijn",
        "niets", "hoogstens", "Voor dit volume is niets aangerekend.", "Toestel", "Software", "Zegel", ",", "GB",
    ),
    "de": (
        "Übersicht Ihrer Internetleitung", "laufender Monat, vorläufig", "Zeitraum", "Verbraucht", "von",
        "Monatsvolumen", "Hinzugefügtes Volumen", "Davor langsam verbraucht, zählt nicht",
        "Gezählt von Ihrem Modem", "davon nicht angerechnet",
        "Gezählt vom Betreiber", "mehr", "weniger", "dieser Unterschied zählt mit",
        "zur Information, nichts hängt davon ab", "Pro Tag (GB)", "Was Ihnen mitgeteilt wurde", "Warnung bei",
        "Leitung verlangsamt", "wieder volle Geschwindigkeit", "nichts", "Was nicht gezählt werden konnte",
        "Neustarts", "abgelehnte Messungen, auf dieser Leitung unmöglich", "nichts", "höchstens",
        "Für dieses Volumen wurde nichts berechnet.", "Gerät", "Software", "Siegel", ",", "GB",
    ),
    "en": (
        "Statement of your Internet line", "month under way, provisional", "Period", "Used", "of",
        "Allowance", "Top-ups", "Used slowly before them, not charged",
        "Counted by your modem", "of it not charged", "Counted by the operator",
        "more", "less", "this difference counts", "for information, nothing depends on it",
        "By day (GB)", "What you were told", "warning at", "line slowed", "full speed given back",
        "nothing", "What could not be counted", "restarts", "readings refused, impossible on this line",
        "nothing", "at most", "Nothing was billed for this data.", "Device", "Software", "Seal", ".", "GB",
    ),
    "ar": (
        "كشف خط الإنترنت الخاص بكم", "الشهر الجاري، مؤقت", "الفترة", "المستهلك", "من",
        "حصة الشهر", "حصة مضافة", "استُهلك ببطء قبل الإضافة ولا يُحتسب",
        "حسب عداد المودم لديكم", "منها غير محتسب", "حسب عداد المشغّل",
        "أكثر", "أقل", "يُحتسب هذا الفرق", "للعلم فقط، لا يترتب عليه شيء",
        "حسب اليوم (غيغابايت)", "ما أُبلغتم به", "تنبيه عند", "أُبطئ الخط", "عادت السرعة الكاملة",
        "لا شيء", "ما تعذّر عدّه", "إعادة تشغيل", "قراءات مرفوضة، مستحيلة على هذا الخط",
        "لا شيء", "على الأكثر", "لم يُفوتَر أي مبلغ عن هذا الاستهلاك.", "الجهاز", "البرنامج", "الختم", ".", "غيغابايت",
    ),
}  # fmt: skip

WORDS: dict[str, dict[str, str]] = {
    language: dict(zip(_NAMES, words, strict=True)) for language, words in _WORDS.items()
}
