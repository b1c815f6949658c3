//! How adverts show that they come from a director of the group.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`Proof`] | what an instance sends and expects |
//! | [`header`] | `auth_type AH`: an authentication header in front of the advert |
//! | [`trailer`] | `auth_hmac`: a trailer behind it |
//! | [`sequences`] | the numbers by which both tell old packets from new ones |

pub mod header;
pub mod sequences;
pub mod trailer;

use super::wire::Authentication;
use trailer::Trailer;

/// What an instance sends and expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nothing.
    #[default]
    None,
    /// `auth_type PASS`: a password in clear text, padded with zeros; version 2 only.
    Password([u8; 8]),
    /// `auth_type AH`: an authentication header made with this password; version 2 only.
    Header([u8; 8]),
    /// `auth_hmac`.
    Trailer(Trailer),
}

/// The type of authentication in adverts behind an authentication header (RFC 2338 5.3.6).
const BEHIND_HEADER: u8 = 2;

impl Proof {
    /// What the advert itself says.
    pub fn within(&self) -> Authentication {
        match self {
            Proof::None | Proof::Trailer(_) => Authentication::None,
            Proof::Password(password) => Authentication::Password(*password),
            Proof::Header(_) => Authentication::Other(BEHIND_HEADER),
        }
    }
}
