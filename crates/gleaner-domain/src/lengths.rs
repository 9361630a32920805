//! `Debug` for what holds the bytes of conversations: it shows how many they are, never what they say.

/// Implements `Debug` with some fields as they are and the lengths of others; the rest is left out.
#[macro_export]
#[doc(hidden)]
macro_rules! debug_lengths {
    ($type:ty { $($shown:ident),* } lengths { $($counted:ident),* }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($shown), &self.$shown))*
                    $(.field(concat!(stringify!($counted), ".len"), &self.$counted.len()))*
                    .finish_non_exhaustive()
            }
        }
    };
}
