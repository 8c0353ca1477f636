//! A guarded port: whether its server is well, what becomes of a connection request, and the frames of held ones.

pub mod frame;
pub mod machine;
