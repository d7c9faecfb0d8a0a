// SPDX-License-Identifier: Apache-2.0
// Draws a tree of frames as an icicle: the root on top, callees below, as wide as their share.
//
// A frame is one element. Frames too narrow to see are not drawn, so a row has at most as many
// elements as it is wide by NARROWEST_PX, however many stacks there are.

import {baseName, change, percent, place, quantity} from './units.mjs';
import {keyOf} from './proto.mjs';
import {linesOf, net, weight} from './tree.mjs';

const ROW_PX = 20;
const NARROWEST_PX = 2;
const TEXT_PX = 36;

// Files of one folder have one colour, so that one sees whose code it is.
function hueOf(file) {
    const folder = file.slice(0, Math.max(file.lastIndexOf('/'), 0));
    let hash = 7;
    for (const c of folder) hash = (hash * 31 + c.codePointAt(0)) % 3600;
    return hash / 10;
}

// onPoint(node or null): the pointer or the keyboard is at a frame.
export class Flame {
    constructor(element, onPoint) {
        this.element = element;
        this.onPoint = onPoint;
        this.boxes = new Map();
        this.matches = null;
        element.addEventListener('click', (event) => {
            const node = this.nodeOf(event.target);
            if (node) this.zoom(node);
        });
        element.addEventListener('pointerover', (event) => onPoint(this.nodeOf(event.target)));
        element.addEventListener('pointerleave', () => onPoint(null));
        element.addEventListener('focusin', (event) => onPoint(this.nodeOf(event.target)));
        element.addEventListener('keydown', (event) => this.onKey(event));
        new ResizeObserver(() => {
            if (this.root && element.clientWidth !== this.width) this.draw();
        }).observe(element);
    }

    nodeOf(element) {
        return element.closest('.frame')?.node ?? null;
    }

    // unit: of the values; isChange: minus is another profile, or what went down.
    show(root, unit, isChange) {
        // The frame that was zoomed into may be there again.
        const path = [];
        for (let node = this.zoomed; node?.parent; node = node.parent) path.unshift(node);
        Object.assign(this, {root, unit, isChange, zoomed: root});
        for (const {name, file, isInlined} of path) {
            const next = this.zoomed.children.get(keyOf(name, file, isInlined));
            if (!next) break;
            this.zoomed = next;
        }
        this.draw();
    }

    // Frames in the set are marked, the others dimmed; null: no search.
    mark(matches) {
        this.matches = matches;
        this.element.classList.toggle('searched', matches !== null);
        for (const [node, box] of this.boxes) box.classList.toggle('match', !!matches?.has(node));
    }

    zoom(node) {
        this.zoomed = node;
        this.draw();
        this.focus(node);
    }

    focus(node) {
        const box = this.boxes.get(node);
        if (!box) return;
        for (const one of this.boxes.values()) one.tabIndex = -1;
        box.tabIndex = 0;
        box.focus();
    }

    describe(node) {
        const {unit, isChange, root} = this;
        const amount = isChange
            ? change(net(node), unit) + ' (' + quantity(node.minus, unit) + ' → ' +
              quantity(node.plus, unit) + ')'
            : quantity(node.plus, unit) + ', ' + percent(node.plus, root.plus);
        const self = node.self && !isChange ? ', self ' + quantity(node.self, unit) : '';
        const [line, ...others] = linesOf(node);
        const where = node.file && place(node.file, line) +
            (others.length ? ', also ' + others.slice(0, 12).join(', ') +
             (others.length > 12 ? ' …' : '') : '');
        return {name: node.name, amount: amount + self, where, isInlined: node.isInlined};
    }

    draw() {
        this.width = this.element.clientWidth;
        this.boxes.clear();
        const fragment = document.createDocumentFragment();
        const above = [];
        for (let node = this.zoomed.parent; node; node = node.parent) above.unshift(node);
        above.forEach((node, row) => this.drawBox(fragment, node, row, 0, 1).classList.add('above'));
        this.rows = above.length;
        this.drawBranch(fragment, this.zoomed, above.length, 0, 1);
        this.element.replaceChildren(fragment);
        this.element.style.height = this.rows * ROW_PX + 'px';
        this.boxes.get(this.zoomed).tabIndex = 0;
        this.mark(this.matches);
    }

    drawBranch(fragment, node, row, left, width) {
        this.drawBox(fragment, node, row, left, width);
        this.rows = Math.max(this.rows, row + 1);
        const all = weight(node);
        const children = [...node.children.values()].sort((a, b) => weight(b) - weight(a));
        for (const child of children) {
            const share = width * weight(child) / all;
            if (share * this.width < NARROWEST_PX) break;
            this.drawBranch(fragment, child, row + 1, left, share);
            left += share;
        }
    }

    drawBox(fragment, node, row, left, width) {
        const box = document.createElement('div');
        box.node = node;
        box.className = 'frame' + (node.isInlined ? ' inlined' : '') + (node.file ? '' : ' plain');
        box.setAttribute('role', 'treeitem');
        box.setAttribute('aria-level', row + 1);
        box.tabIndex = -1;
        const {name, amount, where, isInlined} = this.describe(node);
        box.setAttribute('aria-label', [name, where, isInlined && 'inlined', amount]
            .filter(Boolean).join(', '));
        const {style} = box;
        style.top = row * ROW_PX + 'px';
        style.left = 100 * left + '%';
        style.width = 100 * width + '%';
        this.paint(style, node);
        if (width * this.width >= TEXT_PX) {
            box.append(node.name);
            if (node.file) {
                const file = document.createElement('small');
                file.append(place(baseName(node.file), linesOf(node)[0]));
                box.append(file);
            }
        }
        this.boxes.set(node, box);
        fragment.append(box);
        return box;
    }

    paint(style, node) {
        if (!this.isChange) {
            style.setProperty('--hue', hueOf(node.file));
            return;
        }
        const all = weight(node);
        const share = all ? net(node) / all : 0;
        style.setProperty('--hue', share > 0 ? 5 : 215);
        style.setProperty('--strength', Math.round(100 * Math.min(1, Math.abs(share) * 2)) + '%');
    }

    // Arrows go to the caller, the largest callee, the neighbours; Enter zooms, Escape zooms out.
    onKey(event) {
        const node = this.nodeOf(event.target);
        if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
        const go = {
            ArrowUp: () => this.focus(node.parent),
            ArrowDown: () => this.focus(this.firstChild(node)),
            ArrowLeft: () => this.focus(this.neighbour(node, -1)),
            ArrowRight: () => this.focus(this.neighbour(node, 1)),
            Home: () => this.focus(this.root),
            Enter: () => this.zoom(node),
            ' ': () => this.zoom(node),
            Escape: () => this.zoom(this.zoomed.parent ?? this.root),
        }[event.key];
        if (!go) return;
        event.preventDefault();
        go();
    }

    firstChild(node) {
        return [...this.boxes.keys()].find((one) => one.parent === node);
    }

    neighbour(node, step) {
        const row = [...this.boxes].filter(([, box]) =>
            box.style.top === this.boxes.get(node).style.top).map(([one]) => one);
        row.sort((a, b) => parseFloat(this.boxes.get(a).style.left) -
                           parseFloat(this.boxes.get(b).style.left));
        return row[row.indexOf(node) + step];
    }
}
