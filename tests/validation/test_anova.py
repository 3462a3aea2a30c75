"""Type II analysis of variance against another implementation's numbers and by simulation."""

import numpy as np
import pytest

from crbm_lite.validation.anova import anova_type_ii

RESPONSE = [3.1, 2.7, 2.2, 4.0, 3.3, 2.5, 5.2, 4.1, 2.9, 5.9, 4.6, 3.8]
A = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5]
B = [0, 1, 2, 0, 1, 2, 0, 1, 2.5, 0, 1, 2]
# statsmodels 0.15.0: anova_lm(ols("y ~ a + b", data).fit(), typ=2), and "y ~ a * b"
STATSMODELS = {
    False: {
        "a": (59.67771764712884, 2.9235198362107143e-05),
        "b": (55.52345853016583, 3.886380567215532e-05),
    },
    True: {
        "a": (294.1160883109481, 1.3588616033552375e-07),
        "b": (273.64220811774663, 1.8006199922528992e-07),
        "a:b": (36.35566404282472, 0.0003129288372879888),
    },
}


@pytest.mark.parametrize("interactions", [False, True])
def test_agrees_with_statsmodels(interactions):
    found = anova_type_ii(RESPONSE, {"a": A, "b": B}, interactions=interactions)
    expected = STATSMODELS[interactions]
    assert found.names == tuple(expected)
    assert found.f_values == pytest.approx([f for f, _ in expected.values()], rel=1e-9)
    assert found.p_values == pytest.approx([p for _, p in expected.values()], rel=1e-7)
    assert found.degrees_of_freedom == 9 - interactions


def test_one_covariate_is_the_test_of_a_correlation():
    from scipy.stats import linregress

    found = anova_type_ii(RESPONSE, {"a": A})
    line = linregress(A, RESPONSE)
    assert found.slopes[0] == pytest.approx(line.slope)
    assert found.f_values[0] == pytest.approx((line.slope / line.stderr) ** 2)
    assert found.p_value("a") == pytest.approx(line.pvalue)


def test_slopes_without_noise():
    a, b = np.array(A), np.array(B)
    found = anova_type_ii(1 + 2 * a - 3 * b + 0.5 * a * b, {"a": a, "b": b}, interactions=True)
    assert found.slopes == pytest.approx((2, -3, 0.5))


def test_p_values_are_uniform_without_effect():
    rng = np.random.default_rng(0)
    p = [
        anova_type_ii(rng.standard_normal(20), {"a": rng.random(20), "b": rng.random(20)}).p_values
        for _ in range(1000)
    ]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.03)  # 4 standard errors


def test_table_names_every_effect():
    table = anova_type_ii(RESPONSE, {"M": A, "lambda": B}).table().splitlines()
    assert "F(1, 9)" in table[0]
    assert table[1].split()[0] == "M"
    assert table[1].split()[2] == "59.7"
    assert table[2].split()[0] == "lambda"


@pytest.mark.parametrize(
    ("response", "covariates", "message"),
    [
        (RESPONSE, {}, "empty"),
        (RESPONSE, {"a": A[:-1]}, "a has shape"),
        ([np.nan, *RESPONSE[1:]], {"a": A}, "response holds NaN"),
        (RESPONSE, {"a": A, "b": [2 * x + 1 for x in A]}, "depend"),
        (RESPONSE, {"a": [1] * 12}, "constant"),
        ([1, 2], {"a": [1, 2]}, "2 values"),
    ],
)
def test_bad_input_is_named(response, covariates, message):
    with pytest.raises(ValueError, match=message):
        anova_type_ii(response, covariates)


def test_unknown_effect():
    with pytest.raises(ValueError, match="the effects are a"):
        anova_type_ii(RESPONSE, {"a": A}).p_value("c")
