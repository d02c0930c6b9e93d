"""What comes out of the whole pipeline against what is true of the simulated field."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from estimators import fit_lines, robust_centroid
from simulated_field import (
    CAMERAS,
    EXPOSURES,
    LAST_PATTERN,
    LAST_PIXELS,
    OBSERVATIONS,
    events,
    good_times,
    header,
    live_time,
    photons,
    show,
)

from daxa.simulate.cameras.camera import CAMERAS as SIMULATED_CAMERAS
from daxa.xmm.event.gti import GTI

pytestmark = pytest.mark.slow
#: One bin of the light curve that is searched for flares [s].
BIN_S = 60.0
ARCSEC = 0.05
#: Iron line of the cluster, as seen [eV].
IRON_EV = 6700.0 / 1.153
CLASSES = {"all": (0, 12), "singles": (0, 0), "doubles": (1, 4)}
PIXELS = {1: (0, 0), 2: (1, 4), 3: (5, 8), 4: (9, 12)}


def sky_pixels(head: fits.Header, ra_deg: float, dec_deg: float) -> np.ndarray:
    """X, Y of a direction, by the list's own keywords and astropy."""
    wcs = WCS(naxis=2)
    for k, axis in enumerate("XY"):
        wcs.wcs.crval[k], wcs.wcs.crpix[k] = head[f"REF{axis}CRVL"], head[f"REF{axis}CRPX"]
        wcs.wcs.cdelt[k] = head[f"REF{axis}CDLT"]
    wcs.wcs.ctype = [head["REFXCTYP"], head["REFYCTYP"]]
    return wcs.wcs_world2pix([[ra_deg, dec_deg]], 1)[0]


# --- positions ---------------------------------------------------------------------------------------


def offset(field, obs_id: str, inst: str, source: dict[str, str]) -> tuple[float, float, float, int]:
    """Distance of a source's events from its true place [arcsec]: in X, in Y, error per axis, counts."""
    path = field.final_list(obs_id, inst)
    chosen = events(path)
    true = sky_pixels(header(path), float(source["ra_deg"]), float(source["dec_deg"]))
    x, y = chosen["X"].astype(float), chosen["Y"].astype(float)
    cx, cy, error = robust_centroid(x, y, tuple(true), core=5.0 / ARCSEC, radius=30.0 / ARCSEC)
    near = np.count_nonzero(np.hypot(x - true[0], y - true[1]) < 30.0 / ARCSEC)
    return (cx - true[0]) * ARCSEC, (cy - true[1]) * ARCSEC, error * ARCSEC, near


@pytest.mark.parametrize("inst", CAMERAS)
def test_positions(field, inst, record_property):
    rows, pulls = [], []
    for name in [s["name"] for s in field.point_sources(OBSERVATIONS[0], inst)]:
        found = []
        for obs_id in OBSERVATIONS:
            (source,) = [s for s in field.point_sources(obs_id, inst) if s["name"] == name]
            dx, dy, error, counts = offset(field, obs_id, inst, source)
            found.append((dx, dy, error))
            # 3 sigma of the distance, whose error is that of two axes; seldom more than 0.5 arcsec.
            assert np.hypot(dx, dy) < max(0.5, 3 * np.sqrt(2) * error), (obs_id, name)
            rows.append([name, obs_id, counts, dx, dy, float(np.hypot(dx, dy)), error])
            pulls += [dx / error, dy / error]
        dx, dy, error = np.transpose(found)
        weight = 1 / error**2
        mean = np.hypot(np.sum(weight * dx), np.sum(weight * dy)) / weight.sum()
        rows.append([name, "together", "", "", "", float(mean), float(weight.sum() ** -0.5)])
        assert mean < 0.5, name
    show(f"{inst}: positions", ["source", "observation", "counts", "dX", "dY", "off [arcsec]", "error"], rows)
    together = [r[5] for r in rows if r[1] == "together"]
    single = [r[5] for r in rows if r[1] != "together"]
    print(
        f"  {inst}: largest {max(together):.3f} arcsec of ten sources (three observations together), "
        f"{max(single):.3f} of {len(single)} single ones, {sum(v > 0.5 for v in single)} above 0.5; "
        f"scatter {np.std(pulls):.2f} of the expected"
    )
    record_property("largest_offset_arcsec", max(together))
    assert len(together) == 10
    # 60 numbers: 0.18 from one set of data to the next.
    assert np.mean(np.square(pulls)) == pytest.approx(1.1, abs=0.6)


@pytest.mark.parametrize("inst", CAMERAS)
def test_no_common_shift(field, inst):
    found = np.array(
        [offset(field, o, inst, s)[:3] for o in OBSERVATIONS for s in field.point_sources(o, inst)]
    )
    weight = 1 / found[:, 2] ** 2
    mean = (found[:, :2] * weight[:, None]).sum(axis=0) / weight.sum()
    error = weight.sum() ** -0.5
    show(f"{inst}: mean offset [arcsec]", ["X", "Y", "error"], [[*map(float, mean), float(error)]])
    assert np.abs(mean).max() < 3 * error
    assert np.hypot(*mean) < 0.15


# --- energies ----------------------------------------------------------------------------------------


def check_lines(what: str, pi: np.ndarray, lines: list[float], band, sigma: float, always: bool, bin_ev=5.0):
    """Fit lines and hold every one against the truth, of parts of the events those with enough counts."""
    rows, checked = [], 0
    for true, (energy, error, counts) in zip(lines, fit_lines(pi, lines, band, sigma, bin_ev), strict=True):
        limit = 10.0 if true < 3000 else 25.0
        # A handful of counts may lie close together by chance, and the fit then thinks too well of itself.
        error = max(error, sigma / np.sqrt(max(counts, 1.0)))
        enough = always or error < limit / 2
        rows.append([true, energy - true, error, round(counts), "" if enough else "too few counts to tell"])
        if enough:
            checked += 1
            # The silicon line of all patterns has an error of about the limit itself.
            assert abs(energy - true) < max(limit, 2.5 * error), (what, true, energy)
    show(f"{what}: lines [eV]", ["true", "found - true", "error", "counts", ""], rows)
    return checked


def quiet(field, inst: str, pattern: tuple[int, int]) -> np.ndarray:
    """Energies of the flare-free lists of all observations."""
    lists = [events(field.flare_free_list(o, inst)) for o in OBSERVATIONS]
    chosen = [
        e[(e["PATTERN"] >= pattern[0]) & (e["PATTERN"] <= min(pattern[1], LAST_PATTERN[inst]))] for e in lists
    ]
    return np.concatenate([e["PI"] for e in chosen]).astype(float)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("inst", CAMERAS)
def test_fluorescence_lines(field, inst, kind):
    lines = field.simulated.truth(OBSERVATIONS[0])["fluorescence_ev"][inst]
    soft, hard = [e for e in lines if e < 3000], [e for e in lines if e > 3000]
    pi = quiet(field, inst, CLASSES[kind])
    checked = check_lines(
        f"{inst} {kind}", pi, soft, (1250, 2000 if len(soft) > 1 else 1750), 40.0, kind == "all"
    )
    assert checked >= (len(soft) if kind == "all" else kind == "singles")
    if hard:
        checked = check_lines(f"{inst} {kind}", pi, hard, (7000, 9400), 75.0, kind == "all")
        assert checked == len(hard)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("inst", CAMERAS)
def test_iron_line_of_the_cluster(field, inst, kind):
    low, high = CLASSES[kind]
    parts = []
    for obs_id in OBSERVATIONS:
        path = field.final_list(obs_id, inst)
        chosen = events(path)
        x, y = sky_pixels(header(path), 149.5917, -11.0642)
        near = np.hypot(chosen["X"] - x, chosen["Y"] - y) < 150.0 / ARCSEC
        parts.append(chosen["PI"][near & (chosen["PATTERN"] >= low) & (chosen["PATTERN"] <= high)])
    pi = np.concatenate(parts).astype(float)
    checked = check_lines(
        f"{inst} {kind} iron", pi, [IRON_EV], (5000, 6700), 65.0, kind == "all", bin_ev=20.0
    )
    # 80 doubles of the pn, whose error is about the half of the limit, may or may not tell.
    assert checked == 1 or (kind != "all" and (inst, kind) != ("PN", "singles"))


# --- counts and patterns -----------------------------------------------------------------------------


@pytest.mark.parametrize(("obs_id", "inst", "exp_id"), EXPOSURES)
def test_counts(field, obs_id, inst, exp_id):
    """Events of the chain's list against the photons that the camera kept.

    Comparable are the photons marked KEPT: they fell on a sound pixel while frames were taken, and no
    particle, gap or full buffer took them away. Below 500 eV noise adds events that no photon made, so the
    comparison begins there. Two photons in touching pixels of one frame become one event.
    """
    seen = events(field.chain_list(obs_id, inst, exp_id))["PI"]
    true = photons(field.simulated.photons(obs_id, inst, exp_id))
    true = true["ENERGY"][true["KEPT"]]
    rows = []
    for low, high in ((500, 2000), (2000, 4500), (4500, 10_000), (500, 10_000)):
        a, b = (np.count_nonzero((e >= low) & (e < high)) for e in (seen, true))
        rows.append([f"{low}-{high}", a, b, (a - b) / np.sqrt(b)])
    show(f"{obs_id} {inst} {exp_id}: counts", ["band [eV]", "events", "photons", "Poisson sigma"], rows)
    assert max(abs(r[3]) for r in rows) < 3


@pytest.mark.parametrize(("obs_id", "inst", "exp_id"), EXPOSURES)
def test_patterns(field, obs_id, inst, exp_id):
    """Shares of singles, doubles, triples and quadruples against the number of pixels of the photons kept."""
    seen = events(field.chain_list(obs_id, inst, exp_id))
    true = photons(field.simulated.photons(obs_id, inst, exp_id))
    true = true[true["KEPT"]]
    rows = []
    for low, high in ((500, 2000), (2000, 10_000)):
        pattern = seen["PATTERN"][(seen["PI"] >= low) & (seen["PI"] < high)]
        pixels = true["NPIXELS"][(true["ENERGY"] >= low) & (true["ENERGY"] < high)]
        for n, (first, last) in PIXELS.items():
            a = np.count_nonzero((pattern >= first) & (pattern <= last))
            b = np.count_nonzero(pixels == n)
            rows.append([f"{low}-{high}", n, a / len(pattern), b / len(pixels), (a - b) / np.sqrt(b)])
    names = ["band [eV]", "pixels", "share of events", "share of photons", "Poisson sigma of counts"]
    show(f"{obs_id} {inst} {exp_id}: patterns", names, rows)
    for band, n, a, b, sigma in rows:
        # Below 2 keV the smallest of four parts of a photon may stay under the threshold: then the
        # quadruple of the truth is a triple for the camera.
        below_threshold = n == 4 and band.startswith("500") and abs(a - b) < 0.002
        assert abs(sigma) < 3 or below_threshold, (band, n)


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
@pytest.mark.parametrize("inst", CAMERAS)
def test_counts_of_sources(field, obs_id, inst):
    """Counts around each source in the final list against the photons that fell there.

    Comparable are all photons, of whatever source, that were kept, not shifted out of time, made no more
    pixels than the final list takes, arrived in its good times, and fell within 25 arcsec of the source
    by the simulator's own geometry.
    """
    path = field.final_list(obs_id, inst)
    seen, head, good = events(path), header(path), good_times(path)
    camera = SIMULATED_CAMERAS[inst]
    pointing = field.simulated.truth(obs_id)["pointing_deg"]
    true = np.concatenate(
        [photons(field.simulated.photons(obs_id, inst, e)) for e in field.exp_ids(obs_id, inst)]
    )
    keep = true["KEPT"] & ~true["OOT"] & (true["NPIXELS"] <= LAST_PIXELS[inst]) & (true["ENERGY"] > 500)
    keep &= true["ENERGY"] < 10_000
    for ccd, gti in good.items():
        mine = true["CCDNR"] == ccd
        keep[mine] &= gti.contains(true["TIME"][mine])
    true = true[keep]
    detx, dety = camera.raw_to_det(true["CCDNR"], true["RAWX"], true["RAWY"])
    seen = seen[(seen["PI"] > 500) & (seen["PI"] < 10_000)]
    rows = []
    for source in field.point_sources(obs_id, inst):
        ra, dec = float(source["ra_deg"]), float(source["dec_deg"])
        x, y = sky_pixels(head, ra, dec)
        x0, y0 = camera.sky_to_det(ra, dec, *pointing, float(np.median(true["TIME"])))
        a = np.count_nonzero(np.hypot(seen["X"] - x, seen["Y"] - y) < 25 / ARCSEC)
        b = np.count_nonzero(np.hypot(detx - x0, dety - y0) < 25 / ARCSEC)
        rows.append([source["name"], a, b, (a - b) / np.sqrt(b)])
    show(f"{obs_id} {inst}: sources", ["source", "events", "photons", "Poisson sigma"], rows)
    assert max(abs(r[3]) for r in rows) < 3


# --- exposure and flares -----------------------------------------------------------------------------


@pytest.mark.parametrize(("obs_id", "inst", "exp_id"), EXPOSURES)
def test_exposure_of_the_chains(field, obs_id, inst, exp_id):
    """ONTIME and LIVETIME of every CCD, and the good times themselves."""
    truth = field.truth(obs_id, inst, exp_id)
    path = field.chain_list(obs_id, inst, exp_id)
    head, good = header(path), good_times(path)
    rows = []
    for text, ccd in truth["ccds"].items():
        number = int(text)
        # The true live time of the pn still contains the read-out, in which photons are recorded, but late.
        integrating = ccd.get("integration_s", ccd["frame_time_s"]) / ccd["frame_time_s"]
        ontime = head[f"ONTIME{number:02d}"] / ccd["ontime_s"] - 1
        live = head[f"LIVETI{number:02d}"] / (ccd["livetime_s"] * integrating) - 1
        kept = GTI(*np.transpose(ccd["gti_s"]))
        wrong = (kept - good[number]).total + (good[number] - kept).total
        rows.append([number, ccd["ontime_s"], ontime, live, wrong])
    show(
        f"{obs_id} {inst} {exp_id}: exposure", ["CCD", "true [s]", "ONTIME", "LIVETIME", "GTI off [s]"], rows
    )
    for _, true, ontime, live, wrong in rows:
        assert abs(ontime) < 1e-3
        assert abs(live) < 1e-3
        assert wrong < 1e-3 * true


def flare_times(field, obs_id: str, inst: str, exp_id: str) -> GTI:
    """Good times that espfilt left."""
    (path,) = (field.folder(obs_id) / "cleaning").glob(f"*inst{inst}-subexp{exp_id}-*gti.fits")
    return GTI.read(path)


def test_flares_are_cut_and_quiet_time_is_kept(field, record_property):
    rows = []
    lost_s = quiet_s = 0.0
    for obs_id, inst, exp_id in EXPOSURES:
        truth = field.truth(obs_id, inst, exp_id)
        ((begin, end),) = field.simulated.truth(obs_id)["flares_s"]
        flare = GTI([begin], [end])
        taken = GTI(*np.transpose(next(iter(truth["ccds"].values()))["gti_s"]))
        kept = flare_times(field, obs_id, inst, exp_id) & taken
        quiet = taken - flare
        lost = (quiet - kept).total
        lost_s, quiet_s = lost_s + lost, quiet_s + quiet.total
        before, after = (kept & GTI([0.0], [(begin + end) / 2])), (kept & GTI([(begin + end) / 2], [1e10]))
        exposed = truth["start_s"] < begin and end < truth["stop_s"]
        early = float(begin - before.stop[-1]) if exposed else 0.0
        late = float(after.start[0] - end) if exposed else 0.0
        inside = (kept & flare).total
        rows.append([obs_id, inst + exp_id, early, late, inside, lost, 100 * lost / quiet.total])
        assert -BIN_S < early < BIN_S, rows[-1]
        assert -BIN_S < late < BIN_S, rows[-1]
        # In a short exposure one chance excursion, two smoothing lengths wide, is more than that.
        assert lost < max(0.03 * quiet.total, 2 * BIN_S), rows[-1]
    names = [
        "observation",
        "exposure",
        "cut early [s]",
        "cut late [s]",
        "flare left [s]",
        "quiet lost [s]",
        "%",
    ]
    show("flares", names, rows)
    print(
        f"  all exposures: {lost_s:.1f} s of {quiet_s:.1f} s quiet time lost, {100 * lost_s / quiet_s:.2f} %"
    )
    record_property("quiet_time_lost_percent", 100 * lost_s / quiet_s)
    assert lost_s < 0.03 * quiet_s


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
@pytest.mark.parametrize("inst", CAMERAS)
def test_exposure_of_the_final_lists(field, obs_id, inst):
    """The exposure of each CCD is what the screening left of all sub-exposures together."""
    path = field.final_list(obs_id, inst)
    head, good = header(path), good_times(path)
    rows = []
    for number, gti in good.items():
        expected = live = 0.0
        for exp_id in field.exp_ids(obs_id, inst):
            truth = field.truth(obs_id, inst, exp_id)["ccds"][str(number)]
            taken = GTI(*np.transpose(truth["gti_s"]))
            part = (taken & flare_times(field, obs_id, inst, exp_id)).total
            share = truth.get("integration_s", truth["frame_time_s"]) / truth["frame_time_s"]
            expected, live = expected + part, live + part * truth["live_fraction"] * share
        rows.append(
            [
                number,
                expected,
                gti.total / expected - 1,
                head[f"ONTIME{number:02d}"] / expected - 1,
                head[f"LIVETI{number:02d}"] / live - 1,
            ]
        )
    show(f"{obs_id} {inst}: final exposure", ["CCD", "expected [s]", "GTI", "ONTIME", "LIVETIME"], rows)
    most = max(len(gti) for gti in good.values())
    for _, expected, gti, ontime, live in rows:
        assert abs(gti) < 1e-3
        assert abs(ontime) < 1e-3
        # Live time counts frames that are wholly inside, and the cuts do not fall between them: up to a frame
        # at each end of an interval.
        assert -max(1e-3, 2 * most * truth["frame_time_s"] / expected) < live < 1e-3


def test_merged_sub_exposures(field):
    obs_id = "0800010201"
    lists = [field.product(obs_id, "M1", "en-cleanevents", e) for e in ("S001", "U002")]
    merged = field.final_list(obs_id, "M1")
    rows = []
    for number, gti in good_times(merged).items():
        parts = [good_times(p)[number].total for p in lists]
        rows.append([number, *parts, gti.total, header(merged)[f"ONTIME{number:02d}"]])
        assert gti.total == pytest.approx(sum(parts), abs=1e-3)
        assert header(merged)[f"ONTIME{number:02d}"] == pytest.approx(sum(parts), abs=1e-3)
        live = sum(header(p)[f"LIVETI{number:02d}"] for p in lists)
        assert header(merged)[f"LIVETI{number:02d}"] == pytest.approx(live, abs=1e-3)
    show("0800010201 M1: merged [s]", ["CCD", "S001", "U002", "GTI", "ONTIME"], rows)
    counts = [len(events(p)) for p in lists]
    assert len(events(merged)) == sum(counts)
    times = [np.sort(events(p)["TIME"]) for p in (*lists, merged)]
    assert np.array_equal(np.sort(np.concatenate(times[:2])), times[2])


# --- out-of-time events, images ----------------------------------------------------------------------


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
def test_out_of_time_events(field, obs_id):
    truth = field.truth(obs_id, "PN", "S003")
    chain, moved = field.chain_list(obs_id, "PN", "S003"), field.product(obs_id, "PN", "ootevents", "S003")
    assert len(events(moved)) == pytest.approx(len(events(chain)), rel=0.01)
    true = photons(field.simulated.photons(obs_id, "PN", "S003"))
    share = true["OOT"][true["KEPT"]].mean()
    final, final_moved = field.final_list(obs_id, "PN"), field.product(obs_id, "PN", "en-finalootevents")
    show(
        f"{obs_id}: out-of-time events",
        ["mode", "share of the mode", "share of photons", "events", "moved", "final", "final moved"],
        [
            [
                truth["submode"],
                truth["oot_fraction"],
                float(share),
                *(len(events(p)) for p in (chain, moved, final, final_moved)),
            ]
        ],
    )
    # Some of them fall on the twelve rows that are not sent.
    assert share == pytest.approx(truth["oot_fraction"] * (1 - 12 / 200), rel=0.06)
    # Spread evenly along the columns; the sources are gone.
    rows = np.bincount(events(moved)["RAWY"], minlength=201)[14:200]
    assert rows.std() < 3 * np.sqrt(rows.mean())
    assert header(final)["SUBMODE"] == truth["submode"]
    for number in range(1, 13):
        key = f"LIVETI{number:02d}"
        assert header(final_moved)[key] == pytest.approx(header(final)[key], rel=1e-6)


BANDS = (("0.5_2.0keV", 500, 2000), ("2.0_10.0keV", 2000, 10_000))


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
@pytest.mark.parametrize("inst", CAMERAS)
def test_images_hold_the_events_of_their_band(field, obs_id, inst):
    path = field.final_list(obs_id, inst)
    seen = events(path)
    for name, low, high in BANDS:
        with fits.open(field.product(obs_id, inst, f"en{name}-image")) as hdus:
            image, head = hdus[0].data, hdus[0].header
        inside = (seen["PI"] >= low) & (seen["PI"] <= high)
        for axis in "XY":
            inside &= (seen[axis] >= 3649) & (seen[axis] <= 48106)
        assert image.shape == (512, 512)
        assert image.sum() == np.count_nonzero(inside)
        wcs = WCS(head)
        x, y = seen["X"][inside], seen["Y"][inside]
        ra, dec = (float(head[k]) for k in ("RA_PNT", "DEC_PNT"))
        assert wcs.wcs_world2pix([[ra, dec]], 1)[0] == pytest.approx([256.5057, 256.5057], abs=0.01)
        # Every event is in the pixel that its position says.
        columns = np.floor((x - 3648.5) / 87).astype(int), np.floor((y - 3648.5) / 87).astype(int)
        expected = np.zeros_like(image)
        np.add.at(expected, (columns[1], columns[0]), 1)
        assert np.array_equal(image, expected)


@pytest.mark.parametrize("obs_id", OBSERVATIONS)
@pytest.mark.parametrize("inst", CAMERAS)
def test_exposure_maps_reach_the_live_time(field, obs_id, inst):
    # All frames whose middle is in the good times; LIVETIME leaves out those that are cut.
    live = live_time(field.final_list(obs_id, inst))
    rows = []
    for name, _, _ in BANDS:
        with fits.open(field.product(obs_id, inst, f"en{name}-expmap")) as hdus:
            found = float(hdus[0].data.max())
        rows.append([name, found, live, found / live - 1])
    show(f"{obs_id} {inst}: exposure maps", ["band", "maximum [s]", "LIVETIME [s]", "difference"], rows)
    # Beside the axis the gratings give MOS up to 0.3 % more than on it.
    low, high = -2e-3, 2e-3 if inst == "PN" else 3.5e-3
    assert all(low < r[3] < high for r in rows)
