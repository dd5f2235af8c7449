r"""What a document needs before `\begin{document}`, once, for all tables."""

PREAMBLE = r"""% ablation-preamble.tex: what the tables of `ablate report --latex` need; \input it before \begin{document}.
% Needs TeX Live's latex-extra and science collections (booktabs, siunitx, multirow, makecell, longtable, colortbl).
\usepackage{booktabs,multirow,makecell,array,longtable,amssymb,textcomp}
\usepackage{xcolor,colortbl}
\usepackage{pifont}
\usepackage{siunitx}
\sisetup{
  detect-all,                       % bold figures inside S columns
  table-align-text-after = false,
  table-number-alignment = center,
  separate-uncertainty = true,      % 77.34(12) is printed 77.34 ± 0.12
  retain-explicit-plus = true,
}
\definecolor{ablationbetter}{rgb}{0.00,0.38,0.30}
\definecolor{ablationworse}{rgb}{0.70,0.16,0.05}
\definecolor{ablationunsure}{gray}{0.42}
\definecolor{ablationshade}{gray}{0.93}
\DeclareRobustCommand{\ablationcmark}{\ding{51}}
\DeclareRobustCommand{\ablationxmark}{\textcolor{black!45}{\ding{55}}}
% Series b, not bx: its figures are as wide as those of the text, so that columns stay aligned.
\DeclareRobustCommand{\ablationbest}{\fontseries{b}\selectfont}
\DeclareRobustCommand{\ablationsecond}[1]{\underline{#1}}
\DeclareRobustCommand{\ablationup}[1]{\textcolor{ablationbetter}{#1}}
\DeclareRobustCommand{\ablationdown}[1]{\textcolor{ablationworse}{#1}}
\DeclareRobustCommand{\ablationns}[1]{\textcolor{ablationunsure}{#1}}
\DeclareRobustCommand{\ablationci}[1]{{\scriptsize #1}}
\DeclareRobustCommand{\ablationnotes}[1]{\par\medskip\parbox{\linewidth}{\raggedright\footnotesize #1}}
% Characters that pdfLaTeX has no font for are printed by CJKutf8 where it is installed, else as their codes.
\DeclareRobustCommand{\ablationcjk}[2]{[#2]}
\DeclareRobustCommand{\ablationother}[2]{[#2]}
\ifdefined\XeTeXversion
  \DeclareRobustCommand{\ablationcjk}[2]{#1}\DeclareRobustCommand{\ablationother}[2]{#1}
\else\ifdefined\luatexversion
  \DeclareRobustCommand{\ablationcjk}[2]{#1}\DeclareRobustCommand{\ablationother}[2]{#1}
\else
  \IfFileExists{CJKutf8.sty}{\IfFileExists{c70gbsn.fd}{\def\ablationhascjk{}}{}}{}
  \ifdefined\ablationhascjk
    \usepackage{CJKutf8}
    \DeclareRobustCommand{\ablationcjk}[2]{\begin{CJK*}{UTF8}{gbsn}#1\end{CJK*}}
  \fi
\fi\fi
"""
