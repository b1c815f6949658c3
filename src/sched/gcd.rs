//! Greatest common divisor, the unit of the schedulers by weight.

/// The greatest common divisor; of 0 and another number, the other number.
pub(super) const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
