//! What both engines have in common: the values that they take and give, parameters, and their errors.

mod error;
mod value;

pub(super) use self::{
    error::Error,
    value::{FromSql, Params, ToSql, Value, Wrong},
};
