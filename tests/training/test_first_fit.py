"""The cache that keeps what came first."""

from training.embedded import Text
from training.first_fit import FirstFit


def test_what_comes_first_stays_and_what_does_not_fit_is_not_kept():
    cache = FirstFit(10)
    for key, num_bytes in (("a", 6), ("b", 5), ("c", 4), ("d", 1)):
        cache.keep(key, key.upper(), num_bytes)
    assert [key in cache for key in "abcd"] == [True, False, True, False]
    assert cache["c"] == "C"


def test_a_key_counts_once():
    cache = FirstFit(2)
    for key in "aab":
        cache.keep(key, key, 1)
    assert "b" in cache


def test_rows_that_fit_are_loaded_once_for_each_kind():
    loaded = []

    def load(number: int) -> list[Text]:
        loaded.append(number)
        return [Text("x", b"")] * number

    cache = FirstFit(3_000)
    for kind in ("one", "other", "one"):
        for number in (2, 9):
            assert len(cache.rows(load, number, of=kind)) == number
    assert loaded == [2, 9, 2, 9, 9]
