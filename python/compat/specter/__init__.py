"""The names of specter that desispec imports, without specter: each raises when it is called."""

__version__ = "0+spextral"


def absent(name):
    """Returns a function that raises an error: there is none of this name."""

    def refuse(*arguments, **options):
        # Here, so that importing names costs nothing.
        import spextral

        raise spextral.Error(f"{name} is not here: spextral stands for gpu_specter only; leave out --use-specter")

    refuse.__name__ = name.rsplit(".", 1)[-1]
    return refuse
