"""What an exposure of the pn takes from its housekeeping."""

import numpy as np
import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.housekeeping import Housekeeping
from daxa.xmm.odf.table import OdfTable


def housekeeping(warnings=None, span_s=(0.0, 1e6), **columns):
    """Rows 10 s apart from 1998-01-01."""
    n = len(next(iter(columns.values())))
    time = np.array([f"1998-01-01T00:00:{10 * i:02d}" for i in range(n)])
    table = OdfTable("PMH", {}, {}, {"TIME": time, **{k: np.asarray(v) for k, v in columns.items()}})
    return Housekeeping(table, span_s, lambda *said: None if warnings is None else warnings.append(said))


@pytest.mark.parametrize("as_read", [np.str_, np.bytes_])
def test_blanks_behind_texts_do_not_count(as_read):
    """Columns of twelve characters, filled with blanks as in real files."""
    switches = enumerate(("ON", "OFF", "ON"))
    states = {f"A2_CCD{i}SWI": np.array([s.ljust(12)] * 3).astype(as_read) for i, s in switches}
    found = housekeeping(**states)
    assert found.value("A2_CCD1SWI") == "OFF"
    assert found.active_ccds(2) == 2


def test_rows_outside_the_exposure_count_only_where_there_are_no_others():
    warnings = []
    # The first row lies 63 s after the start of mission time.
    assert housekeeping(warnings, (60.0, 70.0), A0_MAXFRC=[10, 20, 20]).value("A0_MAXFRC") == 10
    assert warnings == []
    late = housekeeping(warnings, (1e5, 2e5), A0_MAXFRC=[10, 20, 20])
    assert late.value("A0_MAXFRC") == 20
    assert [code for code, _ in warnings] == ["noHKinExposure", "notHKconstant"]
    assert "PMH: no row of the time of the exposure" in warnings[0][1]


def test_missing_columns_have_a_default_or_are_named():
    warnings = []
    found = housekeeping(warnings, A0_CHOP=[0, 0, 0])
    assert found.value("A0_MAXFRC", 20) == 20
    assert warnings == [("misHKcolumn", "PMH: no values of A0_MAXFRC, 20 is taken")]
    with pytest.raises(TaskError, match="PMH: no values of F1294"):
        found.value("F1294")
    with pytest.raises(TaskError, match="PMH: no values of F1030"):
        _ = found.reset_s
    assert found.filter == "Unknown"
    assert warnings[-1][0] == "FILTERwrong"


@pytest.mark.parametrize(("wrap", "expected"), [(32400, 32400.0), (0, 32400.0), (-5, 32400.0)])
def test_a_clock_that_never_wraps_is_not_believed(wrap, expected):
    warnings = []
    found = housekeeping(warnings, F1052=[wrap] * 3, F1030=[100, 100 + 32400, 100 + 64800])
    assert found.wrap_s == expected
    assert found.reset_s % 32400 == 100
    assert len(warnings) == (wrap != 32400)
