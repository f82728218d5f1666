"""What families of latent diffusion share whose denoiser is a UNet. Imports torch.

    family.py          the part of the Family interface that they answer alike
    networks.py        UNet, CLIP text encoders and VAE, and their names in single files
    configurations.py  what their configurations may say
    chunks.py          tokens and weights → chunks of 75
    text.py            chunks → the states of one or several CLIP text encoders
    conditioning.py    calling the UNet
    latents.py         shape and scale of latents
    adapter_names.py   what adapter files call the modules

The prompt grammar is in `bot.request.emphasis`, because a request is checked with it long before
torch is imported.
"""
