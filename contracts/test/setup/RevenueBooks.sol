// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {EvidenceHandler} from "./EvidenceHandler.sol";

/// @dev Books of what licences bring: sale by sale, and leaf by leaf, where the contract keeps one number a study and two
/// an account.
abstract contract RevenueBooks is EvidenceHandler {
    uint256 internal constant FRACTION = 40;

    struct Leaf {
        uint256 weight;
        /// What each weight had earned when this one began to count, and when it ceased to.
        uint256 from;
        uint256 until;
        bool over;
    }

    /// Of all sales to settled rounds, what was paid on or became the sponsor's.
    mapping(uint64 study => uint256) public revenueIn;
    mapping(uint64 study => uint256) public revenueOut;
    /// What rounds that were struck out had earned.
    mapping(uint64 study => uint256) public rest;
    // By period, from 1; the first entry is nothing.
    mapping(uint64 study => uint256[]) private _earned;
    mapping(uint64 study => uint256) private _weight;
    mapping(uint64 study => bool) private _changed;
    mapping(uint64 study => mapping(uint64 round => uint256)) private _periodOf;
    mapping(uint64 study => mapping(address account => Leaf[])) private _leaves;
    mapping(uint64 study => mapping(address account => uint256)) private _drawn;

    function _openBooks(uint64 study) internal {
        _earned[study].push(0);
    }

    function _sells(uint64 study) internal view returns (bool) {
        return _earned[study].length > 1;
    }

    function _earnedNow(uint64 study) private view returns (uint256) {
        return _earned[study][_earned[study].length - 1];
    }

    /// @return booked Whether rounds have earned it; else it is the sponsor's.
    function _sold(uint64 study, uint256 price) internal returns (bool booked) {
        if (_weight[study] == 0) return false;
        if (_changed[study]) _earned[study].push(_earnedNow(study));
        _changed[study] = false;
        _earned[study][_earned[study].length - 1] += (price << FRACTION) / _weight[study];
        revenueIn[study] += price;
        return true;
    }

    function _counted(uint64 study, uint64 round, uint256 weight) internal {
        _periodOf[study][round] = _earned[study].length - 1;
        _weight[study] += weight;
        _changed[study] = true;
    }

    function _struckOut(uint64 study, uint64 round, uint256 weight) internal {
        _weight[study] -= weight;
        _changed[study] = true;
        uint256 since = _earnedNow(study) - _earned[study][_periodOf[study][round]];
        rest[study] += (since * weight) >> FRACTION;
    }

    function _show(uint64 study, address account, uint64 round, uint256 weight) internal {
        _add(study, account, weight, _earned[study][_periodOf[study][round]]);
    }

    /// @dev From now on it is another's, who begins with nothing.
    function _moveLeaf(uint64 study, address from, address to, uint256 place) internal {
        Leaf storage leaf = _leaves[study][from][place];
        (leaf.until, leaf.over) = (_earnedNow(study), true);
        _add(study, to, leaf.weight, leaf.until);
    }

    function _add(uint64 study, address account, uint256 weight, uint256 from) private {
        Leaf storage leaf = _leaves[study][account].push();
        (leaf.weight, leaf.from) = (weight, from);
    }

    function _leavesOf(uint64 study, address account) internal view returns (uint256) {
        return _leaves[study][account].length;
    }

    /// @dev What an account may draw now.
    function _revenue(uint64 study, address account) internal view returns (uint256) {
        Leaf[] storage leaves = _leaves[study][account];
        uint256 sum = 0;
        for (uint256 i = 0; i < leaves.length; i++) {
            uint256 until = leaves[i].over ? leaves[i].until : _earnedNow(study);
            sum += leaves[i].weight * (until - leaves[i].from);
        }
        return (sum >> FRACTION) - _drawn[study][account];
    }

    function _draw(uint64 study, address account) internal returns (uint256 amount) {
        amount = _revenue(study, account);
        _drawn[study][account] += amount;
        revenueOut[study] += amount;
    }
}
