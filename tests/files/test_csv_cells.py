"""No cell is a formula, and each text can be read back."""

from hypothesis import given
from hypothesis import strategies as st

from crbm_lite import import_recording
from crbm_lite.files.csv_cells import cell_of_text, text_of_cell


@given(st.one_of(st.text(), st.text("'=+-@\t\r\na")))
def test_every_text_comes_back_and_none_begins_like_a_formula(text):
    cell = cell_of_text(text)
    assert not cell.startswith(tuple("=+-@\t\r\n"))
    assert text_of_cell(cell) == text
    assert cell in (text, f"'{text}")


def test_the_importer_reads_the_names_of_a_table_back(tmp_path):
    names = ("=left", "@right", "'tis")
    path = tmp_path / "table.csv"
    path.write_text(",".join(map(cell_of_text, names)) + "\n0,1,1\n1,0,1\n")
    assert import_recording(path, rate_hz=1.0).names == names
