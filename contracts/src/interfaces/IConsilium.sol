// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IRounds} from "./IRounds.sol";
import {ISponsorship} from "./ISponsorship.sol";

/// @title Studies, their committees and their rounds: all that Consilium answers
/// @notice The chain decides which round is open, which set of contributions counts and which result is final. It
/// sees no update and no list of contributions: only roots, and the signatures of Q = 3t+1 committee nodes.
interface IConsilium is ISponsorship, IRounds {}
