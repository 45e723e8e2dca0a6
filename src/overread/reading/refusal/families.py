"""What DICOM calls the same thing: families of modalities, regions of the body, kinds of views.

Sources: DICOM PS3.3 C.7.3.1.1.1 (Modality), C.8.11.5.1.2 (View Position); PS3.16 annex L (Body Part Examined). Body Part
Examined is wrong or empty in one of seven files (Gueld et al., SPIE Medical Imaging 4685, 2002), so it only counts where it
contradicts.
"""

from __future__ import annotations

import re

MODALITIES = {
    "radiograph": "CR DX RG DR XR",
    "mammogram": "MG",
    "CT": "CT",
    "MR": "MR",
    "ultrasound": "US IVUS",
    "PET": "PT",
    "scintigram": "NM",
    "fluoroscopy": "XA RF",
    "dental film": "IO PX",
    "photograph": "XC ES GM SM OP",
}
REGIONS = {
    "head": "HEAD BRAIN SKULL FACE ORBIT EYE EAR SINUS NEURO SELLA IAC TEMPORAL SCHAEDEL",
    "teeth and jaw": "JAW TEETH TOOTH DENTAL MAXILLA MANDIBLE TMJ",
    "neck": "NECK CSPINE CERVICAL THYROID LARYNX PHARYNX CAROTID",
    "chest": "CHEST THORAX LUNG HEART CARDIAC RIB STERNUM CLAVICLE AORTA TSPINE MEDIASTINUM",
    "breast": "BREAST MAMMA",
    "abdomen": "ABDOMEN ABD LIVER KIDNEY PANCREAS SPLEEN STOMACH BOWEL COLON GALLBLADDER ADRENAL LSPINE",
    "pelvis": "PELVIS PROSTATE BLADDER UTERUS OVARY RECTUM SACRUM SSPINE COCCYX BECKEN",
    "hip": "HIP",
    "spine": "SPINE CSPINE TSPINE LSPINE SSPINE VERTEBRA",
    "shoulder": "SHOULDER SCAPULA CLAVICLE",
    "upper arm": "ARM HUMERUS UPPERARM",
    "elbow": "ELBOW",
    "forearm": "ARM FOREARM RADIUS ULNA",
    "hand": "HAND WRIST FINGER THUMB CARPUS",
    "thigh": "LEG THIGH FEMUR",
    "knee": "KNEE PATELLA",
    "lower leg": "LEG CALF TIBIA FIBULA LOWERLEG",
    "foot": "FOOT ANKLE TOE CALCANEUS HEEL",
}
JOINED = {"HEADNECK": ("head", "neck"), "CTA": (), "EXTREMITY": (), "HEADANDNECK": ("head", "neck")}
WHOLE_BODY = ("WHOLEBODY", "BODY", "TRUNK")
VIEWS = {
    "frontal": "AP PA FRONTAL",
    "lateral": "LL RL LAT LATERAL LEFTLATERAL RIGHTLATERAL",
    "oblique": "LAO RAO LPO RPO LLO RLO OBLIQUE",
    "craniocaudal": "CC XCC XCCL XCCM FB",
    "mediolateral": "ML MLO LM LMO SIO ISO",
}
LONG = 4  # letters that a region's name needs to be looked for inside of a longer text: "EAR" would be found in HEART
SHORT = ("ABD",)


def plain(value: object) -> str:
    """Capital letters and digits of a header's value, no more of them than a code string has."""
    return re.sub(r"[^A-Z0-9]", "", str(value).upper())[:16]


def modality_family(value: str) -> str:
    """ "radiograph" for CR and DX; "" where the value says nothing (OT, SC) or is not known."""
    return _family(MODALITIES, value)


def view_family(value: str) -> str:
    return _family(VIEWS, value)


def regions(value: str) -> frozenset[str]:
    """Regions of the body that a value of Body Part Examined names; empty where it is not known, all for the whole body."""
    if value in WHOLE_BODY:
        return frozenset(REGIONS)
    if value in JOINED:
        return frozenset(JOINED[value])
    exact = frozenset(name for name, terms in REGIONS.items() if value in terms.split())
    if exact:
        return exact
    return frozenset(name for name, terms in REGIONS.items() if any(t in value for t in terms.split() if _is_telling(t)))


def region_words(value: str) -> tuple[str, ...]:
    """What the tables know of a value of Body Part Examined: the whole, or words that it holds; they name the same regions."""
    every = {term for terms in REGIONS.values() for term in terms.split()}
    if value in every or value in JOINED or value in WHOLE_BODY:
        return (value,)
    return tuple(sorted(term for term in every if _is_telling(term) and term in value))


def _is_telling(term: str) -> bool:
    """Also inside of a longer text."""
    return len(term) >= LONG or term in SHORT


def _family(table: dict[str, str], value: str) -> str:
    return next((name for name, terms in table.items() if value in terms.split()), "")
