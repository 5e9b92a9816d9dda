//! Arguments of kernels: uniform structs declared once in Rust and compared with the shader's, member by member.

use super::scalar::{Element, ScalarKind};

/// One scalar of a kernel's uniform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgsMember {
    /// Its name in Rust and in WGSL.
    pub name: &'static str,
    /// Bytes before it.
    pub offset: usize,
    /// Its kind.
    pub kind: ScalarKind,
}

/// The uniform `args` of a kernel. [`super::Recording::dispatch`] refuses one whose members differ from the shader's.
pub trait KernelArgs: bytemuck::NoUninit {
    /// Its members in order.
    const MEMBERS: &'static [ArgsMember];
}

/// A kernel without a uniform.
impl KernelArgs for () {
    const MEMBERS: &'static [ArgsMember] = &[];
}

/// A uniform `args: u32`.
impl KernelArgs for u32 {
    const MEMBERS: &'static [ArgsMember] = &[ArgsMember { name: "args", offset: 0, kind: u32::KIND }];
}

/// Declares a uniform struct of scalars and implements [`KernelArgs`] for it.
macro_rules! kernel_args {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$of_field:meta])* $field_vis:vis $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::NoUninit, bytemuck::Zeroable)]
        $vis struct $name {
            $($(#[$of_field])* $field_vis $field: $kind,)*
        }

        impl $crate::gpu::KernelArgs for $name {
            const MEMBERS: &'static [$crate::gpu::ArgsMember] = &[$($crate::gpu::ArgsMember {
                name: stringify!($field),
                offset: std::mem::offset_of!($name, $field),
                kind: <$kind as $crate::gpu::Element>::KIND,
            },)*];
        }
    };
}
pub(super) use kernel_args;
