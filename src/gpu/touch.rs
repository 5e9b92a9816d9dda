//! Touches: the places where the library calls the driver, and how fault injection makes one fail.

/// A place where the library calls the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// Opening the device.
    Open,
    /// Creating a buffer of any kind.
    Buffer,
    /// Writing to a buffer.
    Write,
    /// Compiling a shader into a pipeline.
    Kernel,
    /// Binding buffers.
    BindGroup,
    /// Creating timestamp queries.
    Queries,
    /// Submitting commands.
    Submit,
    /// Waiting for a submission.
    Wait,
    /// Mapping a buffer on the host.
    Map,
    /// Reading a mapped buffer.
    Read,
}

/// How a touch fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device is destroyed, as when its driver is reset.
    Lost,
    /// Memory is exhausted.
    OutOfMemory,
    /// The driver reports an error of its own.
    Driver,
    /// The device never answers.
    Hang,
    /// wgpu panics, as version 30 does if a device is lost during a wait.
    Panic,
    /// A number read back is wrong.
    Wrong,
}
