"""The terms that a report uses, in one or two sentences each. Only terms that occur are printed."""

from __future__ import annotations

import re

TERMS: dict[str, tuple[str, str]] = {
    # term: (pattern that shows its use, meaning)
    "Adversarial step": (
        r"[Aa]dversarial",
        "The smallest of changes in every voxel, each in the direction that the model minds most. Nobody sees it; chance never "
        "makes it. It shows how near the model is to another answer.",
    ),
    "Area under the ROC curve (AUC)": (
        r"\bAUC\b|ROC curve",
        "The chance that a randomly chosen case with the finding receives a higher probability than one without. "
        "0.5 is guessing, 1 is perfect ranking. It says nothing about the threshold.",
    ),
    "Augmentation": (
        r"[Aa]ugment",
        "Random changes of the training images (shift, rotation, contrast, noise) that teach the network what does not matter.",
    ),
    "Average precision": (
        r"[Aa]verage precision",
        "The area under the precision-recall curve. Guessing reaches the prevalence.",
    ),
    "Average surface distance": (r"[Aa]verage (?:symmetric )?surface distance", "The mean distance between the two outlines."),
    "Balanced accuracy": (
        r"[Bb]alanced accuracy",
        "The mean of the sensitivities of all classes, so that a rare class counts fully.",
    ),
    "Bias and limits of agreement": (
        r"[Ll]imits? of agreement|Bland",
        "The mean difference between model and reference, and the range in which about 95 % of single differences lie.",
    ),
    "Bootstrap by patient": (
        r"[Bb]ootstrap",
        "Patients are drawn again and again with replacement and the score is computed each time; the spread gives the interval. "
        "Drawing patients, not cases, keeps several exams of one patient together.",
    ),
    "Brier score": (r"Brier", "The mean squared difference between probability and outcome; 0 is perfect."),
    "Calibration": (r"[Cc]alibrat", "Whether, among cases given a probability of 0.3, about 30 % have the finding."),
    "Calibration slope and calibration in the large": (
        r"[Cc]alibration (?:slope|in the large)",
        "Slope below 1: probabilities are too extreme; above 1: too cautious. In the large: whether they are too high or too low "
        "on the whole; 0 is best.",
    ),
    "Concordance correlation": (r"[Cc]oncordance", "Agreement of two numbers with the line of identity; 1 is perfect."),
    "Confidence interval": (
        r"interval",
        "A range made so that, over many repetitions of the study, 95 % of such ranges would contain the true value. "
        "It covers the choice of patients, not flaws of the data.",
    ),
    "CLAIM": (r"\bCLAIM\b", "The checklist of what a paper on AI in medical imaging should report (2024, 44 items)."),
    "Coverage and risk": (
        r"[Rr]isk against coverage|risk-coverage",
        "Coverage is the share of cases that the model answers, risk the share of wrong calls among them.",
    ),
    "Decision curve, net benefit": (
        r"[Nn]et benefit|[Dd]ecision curve",
        "What acting on the model brings: true positives less false positives, weighed by how much harm one may do for each "
        "one helped. Above both other lines, the model is of use.",
    ),
    "Enriched sample": (
        r"[Ee]nriched",
        "Cases with the finding were sought out, so that they are more frequent than in practice. Sensitivity and specificity "
        "stay, predictive values and whatever else hangs on the prevalence do not.",
    ),
    "Dice coefficient": (
        r"\bDice\b",
        "Overlap of two outlines: twice the shared volume divided by the sum of both. 1 is identity.",
    ),
    "FROC curve": (
        r"\bFROC\b",
        "Sensitivity for objects against false positives per case, over all thresholds. Cases without any object count too.",
    ),
    "Panoptic quality": (
        r"[Pp]anoptic quality",
        "Of objects with outlines: the overlap of the pairs that fit, divided by all that should have been paired.",
    ),
    "DeLong's method": (r"DeLong", "A formula for the interval of an AUC from the ranks of the cases."),
    "Epoch": (
        r"[Ee]poch",
        "One round of training through about as many images, or windows, as there are training cases.",
    ),
    "Exploratory": (
        r"[Ee]xploratory",
        "Not declared before the internal test was opened. It may suggest a hypothesis; it cannot confirm one.",
    ),
    "Expected calibration error (ECE)": (
        r"\bECE\b|[Ee]xpected calibration",
        "The mean distance between predicted and observed rate.",
    ),
    "F1": (r"\bF1\b", "The harmonic mean of sensitivity and positive predictive value."),
    "Hausdorff distance, 95th percentile (HD95)": (
        r"HD95|Hausdorff",
        "95 % of the points of either outline lie closer than this to the other outline. It shows the worst deviations.",
    ),
    "Internal test": (
        r"[Ii]nternal test",
        "Cases of the same source that were put under seal before training and played no part in any choice.",
    ),
    "Holm's correction": (
        r"\bHolm\b",
        "Where many comparisons are made, some succeed by chance. The correction keeps the chance of any false alarm among them "
        "at the stated level.",
    ),
    "Intersection over union (IoU)": (
        r"\bIoU\b|[Ii]ntersection over union",
        "What two outlines or boxes share, divided by what they cover together.",
    ),
    "Ledger": (
        r"[Ll]edger",
        "A file in which each opening of the seal is written in a chain of hashes, so that a removal would show.",
    ),
    "Likelihood ratio": (
        r"[Ll]ikelihood ratio",
        "By how much a positive (negative) call multiplies the odds of the finding; 1 changes nothing.",
    ),
    "Matthews correlation (MCC)": (r"\bMCC\b|Matthews", "Correlation of truth and answer from -1 to 1; 0 is guessing."),
    "Mean absolute error (MAE)": (r"\bMAE\b|[Mm]ean absolute error", "The mean size of the error, whatever its direction."),
    "Observed to expected": (
        r"[Oo]bserved to expected",
        "Cases with the finding, divided by the sum of all probabilities; 1 is best.",
    ),
    "Micro and macro": (
        r"\b[Mm]icro|\b[Mm]acro\b",
        "Ways of one number for several classes: micro pools all calls, so frequent classes count most; macro takes the mean "
        "over classes, each counting alike.",
    ),
    "Operating point": (
        r"[Oo]perating point",
        "The probability from which a finding is called. It was chosen on tuning cases by a stated rule and then frozen.",
    ),
    "Overfitting": (r"[Oo]verfit", "The network memorises its training cases and becomes worse on others."),
    "Partial area under the ROC curve": (
        r"[Pp]artial (?:AUC|area)",
        "The area under the part of the ROC curve that matters, such as high specificity, scaled so that guessing has 0.5 and "
        "perfect ranking 1.",
    ),
    "PPV and NPV": (
        r"\bPPV\b|[Pp]ositive predictive",
        "Of the cases called positive (negative), the share that is so. Both change with the prevalence.",
    ),
    "Primary endpoint": (r"[Pp]rimary endpoint", "The one score that was named in advance as the answer to the hypothesis."),
    "R squared": (r"\bR squared\b", "The share of the spread of the reference that the model's numbers account for."),
    "Reference standard": (r"[Rr]eference", "The truth that the model is compared with, and how it was established."),
    "Root mean square error (RMSE)": (
        r"\bRMSE\b|[Rr]oot mean square error",
        "Like the mean absolute error, with large errors counted more.",
    ),
    "Seal": (
        r"\b[Ss]eal",
        "The reference standard of the internal test is kept apart; reading it is possible only through the ledger.",
    ),
    "Set that holds the truth": (
        r"inside the stated set|[Ss]ets? of one class|[Cc]lasses in the set",
        "In place of one answer, as many classes as are needed for the set (or as wide an interval) to hold the truth in the "
        "stated share of cases; its limits were fixed on tuning cases. A set of one class is a sure answer.",
    ),
    "Sensitivity and specificity": (
        r"[Ss]ensitivity",
        "The share of cases with the finding that are called positive, and of cases without it that are called negative.",
    ),
    "STARD, TRIPOD+AI": (r"\bSTARD\b", "Checklists for papers on diagnostic accuracy, and on prediction models."),
    "Surface Dice": (r"[Ss]urface Dice", "The share of the two outlines that lie within a stated tolerance of each other."),
    "Training, tuning": (
        r"[Tt]uning",
        "Training cases teach the network. On tuning cases settings are chosen, and thresholds, calibration or the clean-up of "
        "masks are fitted; scores on them flatter.",
    ),
    "Underfitting": (r"[Uu]nderfit", "The network has not yet learned what its training cases could teach."),
    "Unit of analysis": (r"[Uu]nit of analysis", "What is counted as one: a lesion, a side, an exam or a patient."),
    "Weighted kappa": (
        r"[Ww]eighted kappa",
        "Agreement of ordered grades beyond chance; a miss by two grades weighs more than one by one. 1 is perfect, 0 is chance.",
    ),
    "Wilson interval": (r"Wilson", "An interval for a proportion that stays sensible for small counts and near 0 and 1."),
}


def terms_used(page_text: str) -> list[tuple[str, str]]:
    """(term, meaning) of every term that occurs in the text, in alphabetical order."""
    return sorted((term, meaning) for term, (pattern, meaning) in TERMS.items() if re.search(pattern, page_text))
