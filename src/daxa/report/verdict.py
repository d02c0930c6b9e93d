"""Whether an observation, and an archive, can be used, and why.

The rules, in the order in which they are asked:

- not reduced: no step was run on it, or its reduction has not come to an end;
- not usable: no camera has a cleaned event list with time and events in it, or calibration files that were
  made up for simulations were used for real data;
- usable with warnings: a camera that was observed has failed or has nothing left; more than half of a
  camera's time went to flares; protons are left by the ratio of field and corners; a fluorescence line is not
  where it belongs; a CCD is in an anomalous state; something stood in for a part of a calibration file; a
  product is damaged or out of date; a step of the engine has warned, unless it only makes something of the
  finished reduction, e.g. a spectrum: such warnings are told with what it made;
- usable: nothing of that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from daxa.report.products import CAMERAS

Values = dict[str, Any]

USABLE, WARNINGS, UNUSABLE, PENDING = "usable", "warnings", "unusable", "pending"
#: In words.
WORDS = {
    USABLE: "usable",
    WARNINGS: "usable with warnings",
    UNUSABLE: "not usable",
    PENDING: "not reduced",
}
#: The same where there is little room.
SHORT = WORDS | {WARNINGS: "with warnings"}
#: More of the time lost than this is said.
_MUCH_LOST = 50.0
#: De Luca & Molendi 2004 (A&A 419, 837): above, an exposure is very, and extremely, contaminated.
_CONTAMINATED, _VERY = 1.3, 1.5
_CLEAN = 1.15
#: Kinds of warnings that are told, and how much of the text of each.
_KINDS, _LONG = 4, 160
#: A line is off if its shift is larger than this [eV], this share of its energy, and this many errors.
_SHIFT_EV, _SHIFT_SHARE, _SHIFT_ERRORS = 30.0, 0.005, 4.0


@dataclass(frozen=True)
class Verdict:
    """A judgement.

    Attributes
    ----------
    level
        ``usable``, ``warnings``, ``unusable`` or ``pending``.
    reasons
        Why, in words; empty for what is simply usable.
    """

    level: str
    reasons: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The judgement in words."""
        return WORDS[self.level]

    @property
    def short(self) -> str:
        """The same where there is little room."""
        return SHORT[self.level]


def judge(observation: Values) -> Verdict:
    """Judge an observation.

    Parameters
    ----------
    observation
        ``cameras`` (those that were chosen: ``inst``, ``observed``, ``final``, ``before_s``, ``after_s``,
        ``events``, ``lost``, ``failures``), ``exposures`` as the products tell them, ``runs`` (number of
        steps begun), ``done`` (of steps that came through), ``known`` (whether products are looked into),
        ``unfinished``, ``stale``, ``problems``, ``notes`` (codes of warnings -> number), ``note_texts``
        (the same -> text), ``simulated``, ``synthetic``, ``header`` (``fallbacks``) and ``failures`` of the
        whole observation.
    """
    if not observation["runs"]:
        return Verdict(PENDING, ["no step has been run on it yet"])
    if not observation["known"]:
        return _judge_steps(observation)
    cameras = observation["cameras"]
    good = [c for c in cameras if c["final"] and c["events"] and c["after_s"] != 0]
    if not good:
        unfinished = observation["unfinished"]
        if unfinished and not any(c["final"] for c in cameras) and not _failures(observation):
            return Verdict(PENDING, [f"its reduction has not come to an end: {_some(unfinished)}"])
        return Verdict(UNUSABLE, _why_none(observation, cameras))
    if observation["synthetic"] and not observation["simulated"]:
        return Verdict(UNUSABLE, ["calibration files made up for simulations were used for real data"])
    reasons = [
        *_cameras_missing(cameras, good),
        *(reason for camera in good for reason in _camera(camera)),
        *(reason for exposure in observation["exposures"] for reason in _exposure(exposure)),
        *(f"cannot be read: {problem}" for problem in observation["problems"]),
        *([f"out of date: {_some(observation['stale'], 1)}"] if observation["stale"] else []),
        *([f"not finished: {_some(observation['unfinished'])}"] if observation["unfinished"] else []),
        *_other_failures(observation),
    ]
    fallbacks = observation["header"].get("fallbacks") or []
    if fallbacks:
        reasons.append(f"calibration: {_count(len(fallbacks), 'part')} stood in for: {_some(fallbacks)}")
    reasons += _notes(observation["notes"], observation.get("note_texts") or {})
    return Verdict(WARNINGS if reasons else USABLE, reasons)


def _judge_steps(observation: Values) -> Verdict:
    """By its steps alone, where nothing is known of the products."""
    failures = _failures(observation)
    if observation["unfinished"]:
        return Verdict(PENDING, [f"its reduction has not come to an end: {_some(observation['unfinished'])}"])
    if observation["done"]:
        said = "the steps came through" if not failures else "some of the steps came through"
        return Verdict(WARNINGS, [*failures, f"{said}; products of this mission are not looked into"])
    return Verdict(UNUSABLE, failures or ["no step came through"])


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _some(words: list[str], most: int = 4) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


def _notes(numbers: dict[str, int], texts: dict[str, str]) -> list[str]:
    """Warnings of the engine, one line for each kind."""
    found = []
    for name in sorted(numbers, key=lambda n: -numbers[n])[:_KINDS]:
        text = texts.get(name, "")
        often = "" if numbers[name] == 1 else f", {numbers[name]} times"
        found.append(
            f"warning {name}{often}" + (f": {text[:_LONG]}{'…' * (len(text) > _LONG)}" if text else "")
        )
    left = sum(sorted(numbers.values())[: max(0, len(numbers) - _KINDS)])
    return [*found, _count(left, "further warning")] if left else found


def _failures(observation: Values) -> list[str]:
    return [*observation["failures"], *(f for c in observation["cameras"] for f in c["failures"])]


def _why_none(observation: Values, cameras: list[Values]) -> list[str]:
    """Why no camera is left."""
    reasons = list(observation["failures"])
    for camera in cameras:
        reason = _why_not(camera)
        if reason and not (camera["failures"] and reason in reasons):
            reasons.append(reason)
    reasons += [f"cannot be read: {problem}" for problem in observation["problems"]]
    if not cameras:
        reasons.append("no instrument was chosen")
    return reasons or ["no camera has an event list that came through"]


def _why_not(camera: Values) -> str:
    name = CAMERAS.get(camera["inst"], camera["inst"])
    if camera["final"]:
        before = (camera["before_s"] or 0.0) / 1000
        if not camera["after_s"]:
            return f"{name}: flares cover all of it, nothing is left of {before:.1f} ks"
        return f"{name}: no events are left"
    if camera["failures"]:
        return f"{name}: {camera['failures'][0]}"
    if not camera["observed"]:
        return f"{name}: no exposure that can be reduced"
    return f"{name}: no cleaned event list"


def _cameras_missing(cameras: list[Values], good: list[Values]) -> list[str]:
    """Cameras that took data of which nothing came through."""
    return [_why_not(c) for c in cameras if c not in good and (c["observed"] or c["failures"])]


def _other_failures(observation: Values) -> list[str]:
    """What failed of cameras that have a list all the same, and of the observation as a whole."""
    found = list(observation["failures"])
    for camera in observation["cameras"]:
        name = CAMERAS.get(camera["inst"], camera["inst"])
        if camera["final"]:
            found += [f"{name}: {text}" for text in camera["failures"]]
    return found


def _camera(camera: Values) -> list[str]:
    found = []
    name = CAMERAS.get(camera["inst"], camera["inst"])
    if camera["lost"] is not None and camera["lost"] > _MUCH_LOST:
        kept = camera["after_s"] / 1000
        found.append(f"{name}: {camera['lost']:.0f} % of the time lost to flares, {kept:.1f} ks are left")
    return found


def _exposure(exposure: Values) -> list[str]:
    found = []
    name = f"{CAMERAS[exposure['inst']]} {exposure['exp']}"
    flares = exposure.get("flares") or {}
    ratio, error = flares.get("inout"), flares.get("inout_error") or 0.0
    if ratio is not None and ratio > _CONTAMINATED and ratio - error > _CLEAN:
        how = "extremely" if ratio > _VERY else "very"
        found.append(
            f"{name}: protons are left, field over corners {ratio:.2f} ± {error:.2f} ({how} contaminated)"
        )
    for line in exposure.get("lines") or []:
        if line_is_off(line):
            found.append(
                f"{name}: {line['name']} at {line['energy']:.0f} ± {line['error']:.0f} eV, "
                f"{line['shift']:+.0f} eV from where it belongs"
            )
    bad = [str(c["ccd"]) for c in exposure["ccds"] if (c["state"] or {}).get("state") == "B"]
    if bad:
        found.append(f"{name}: CCD {', '.join(bad)} in an anomalous state below 1 keV")
    return found


def line_is_off(line: Values) -> bool:
    """Whether a measured line is not where it belongs.

    Parameters
    ----------
    line
        ``shift``, ``error`` and ``laboratory`` [eV]; no shift where it was not seen.
    """
    if line["shift"] is None:
        return False
    limit = max(_SHIFT_EV, _SHIFT_SHARE * line["laboratory"], _SHIFT_ERRORS * line["error"])
    return bool(abs(line["shift"]) > limit)


def judge_archive(verdicts: dict[str, Verdict]) -> Verdict:
    """Judge an archive by its observations.

    Parameters
    ----------
    verdicts
        ObsID -> its judgement.

    Returns
    -------
    verdict
        Usable if all observations are; not usable if none is; otherwise usable with warnings. Its reasons
        count the observations.
    """
    levels = Counter(v.level for v in verdicts.values())
    total = len(verdicts)
    if not total:
        return Verdict(PENDING, ["it holds no observations"])
    if levels[PENDING] == total:
        return Verdict(PENDING, ["none of its observations has been reduced"])
    usable = levels[USABLE] + levels[WARNINGS]
    if not usable:
        return Verdict(UNUSABLE, [f"none of {_count(total, 'observation')} can be used", *_shared(verdicts)])
    if levels[USABLE] == total:
        return Verdict(USABLE)
    reasons = []
    for level, text in (
        (UNUSABLE, "cannot be used"),
        (PENDING, "not reduced yet"),
        (WARNINGS, "usable with warnings"),
    ):
        names = [name for name, v in verdicts.items() if v.level == level]
        if names:
            reasons.append(f"{len(names)} of {_count(total, 'observation')} {text}: {_some(names, 3)}")
    return Verdict(WARNINGS, reasons)


def _shared(verdicts: dict[str, Verdict]) -> list[str]:
    """The commonest reasons of all observations."""
    reasons = Counter(reason for v in verdicts.values() for reason in v.reasons)
    return [reason for reason, _ in reasons.most_common(3)]
