"""The tasks that answer with images or make them, by what is asked, and what a network is usually taught by."""

from __future__ import annotations

from collections.abc import Mapping

from overread.tasks.generative.adversarial import DCGAN, WGAN_GP, Adversarial
from overread.tasks.generative.autoencoding import Autoencoding
from overread.tasks.generative.diffusing import Diffusing
from overread.tasks.generative.latent_diffusing import LATENT, LatentDiffusing
from overread.tasks.generative.making import MakingTask
from overread.tasks.generative.paired import PIX2PIX, Restoring, Translating
from overread.tasks.generative.pictures import PictureTask
from overread.tasks.generative.schedule import VELOCITY
from overread.tasks.generative.unpaired import CYCLE, CycleTranslating
from overread.tasks.generative.variational import Vae

Kinds = type[PictureTask] | type[MakingTask]
GENERATIVE: Mapping[str, tuple[Kinds, ...]] = {
    "autoencode": (Autoencoding,),
    "vae": (Vae,),
    "translate": (Translating, CycleTranslating),
    "restore": (Restoring,),
    "synthesize": (Adversarial, Diffusing, LatentDiffusing),
}
USUAL: Mapping[str, str] = {  # architecture -> loss, where the first of the task would not fit it
    "pix2pix": PIX2PIX,
    "cycle_gan": CYCLE,
    "dcgan": DCGAN,
    "wasserstein_gan": WGAN_GP,
    "diffusion_unet": VELOCITY,
    "latent_diffusion": LATENT + VELOCITY,
}
