-- Lmod: for a program installed by
--   cargo install --locked --path . --features mpi --root PREFIX/spextral/0.1.0
-- with this file as MODULEPATH/spextral/0.1.0.lua
help([[Extract 1-D spectra from 2-D fibre-spectrograph frames by spectro-perfectionism, on any GPU or CPU.]])
whatis("Name: spextral")
whatis("Version: 0.1.0")

local root = os.getenv("SPEXTRAL_ROOT") or pathJoin("/opt/spextral", myModuleVersion())
prepend_path("PATH", pathJoin(root, "bin"))
prepend_path("MANPATH", pathJoin(root, "share", "man"))
