"""REBAR: REINFORCE with the concrete relaxation as its control variate."""

import equinox as eqx
from jaxtyping import Array, Float, PyTree

from hnca.estimators._control_variate import Parameters, RelaxedControlVariate
from hnca.network import Network


class REBAR(RelaxedControlVariate):
    r"""The concrete relaxation as a control variate; its temperature and scale are adapted.

    **Formula.** A Bernoulli layer's sample is `b = 1[z > 0]` with `z = a + e`, `a` the logits and `e` logistic; with
    Gumbel `e`, a categorical unit's is where `z` is largest. With `s(z) = sigmoid(z / temperature)`, or softmax, `z`
    drawn given `b`, and `z'` drawn again given the same `b`, the credit is
    `score(b) (f(b) - scale * f(s(z'))) + scale * d/da f(s(z)) - scale * d/da f(s(z'))`. The first derivative holds `e`
    fixed, the second the noise that makes `z'` from `a` and `b`. In `f(s(.))` all that comes after the layer is relaxed
    with noise that could have made the trace's values; what comes before the layer is as in the trace.

    After each call one step of Adam on temperature and scale lessens the mean square of the credits. Their mean is the
    same for all settings, so this is their variance, which stands in for the gradient's. One temperature and one scale
    serve all layers.

    **Bias.** None, at any temperature and scale, if the objective is continuous in the relaxed values.
    **Cost.** One forward pass; for every layer two relaxed ones of what comes after it, with their derivatives, and the
    derivatives of those for the adaptation: quadratic in depth. Needs an objective that can be evaluated on relaxed
    values.

    Example:
        ```python
        method = hnca.REBAR(temperature=0.5)
        bound, estimate = hnca.estimate(method, encoder, objective, {"image": images}, key=key)
        bound, estimate = hnca.estimate(method, encoder, objective, inputs, key=key2, state=estimate.state)
        ```

    **Reference.** Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein, *REBAR: Low-variance, unbiased gradient estimates
    for discrete latent variable models*, 2017.

    Attributes:
        temperature: of the relaxation at first, above 0.
        scale: of the control variate at first; 0 is REINFORCE.
        learning_rate: of the adaptation; 0 leaves both as they are.

    Raises:
        ValueError: for a value outside these; when called, for a layer that is neither Bernoulli nor categorical, for a
            reward that can be observed only once, and for no key.
    """

    temperature: float = eqx.field(static=True, default=0.5)
    scale: float = eqx.field(static=True, default=1.0)
    learning_rate: float = eqx.field(static=True, default=1e-3)

    def initial_surrogates(self, network: Network) -> dict[str, PyTree]:
        return {}

    def control(
        self,
        parameters: Parameters,
        name: str,
        mean: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        relaxed_value: Float[Array, "*batch"],
    ) -> Float[Array, "*batch"]:
        return parameters.scale * relaxed_value
