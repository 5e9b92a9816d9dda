from spack.package import *


class Spextral(CargoPackage):
    """Extract 1-D spectra from 2-D fibre-spectrograph frames by spectro-perfectionism, on any GPU or CPU."""

    homepage = "https://github.com/spextral/spextral"
    git = "https://github.com/spextral/spextral.git"

    license("MIT OR Apache-2.0")

    version("main", branch="main")
    version("0.1.0", tag="v0.1.0")

    variant("mpi", default=False, description="Frames over the ranks of an MPI job")

    depends_on("rust@1.90:", type="build")
    depends_on("llvm +clang", type="build", when="+mpi")
    depends_on("mpi", when="+mpi")
    # Opened at run time: without it there is the CPU.
    depends_on("vulkan-loader", type="run", when="platform=linux")

    @property
    def build_args(self):
        return ["--features", "mpi"] if self.spec.satisfies("+mpi") else []

    @run_after("install")
    def manual(self):
        spextral = Executable(join_path(self.prefix.bin, "spextral"))
        spextral("man", "-o", join_path(self.prefix.share, "man", "man1"))
